"""Detections and classifications."""

from __future__ import annotations

import struct

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from pytest_django import DjangoAssertNumQueries

from ami.main.models import SourceImage, Taxon
from ami.main.tests.factories import make_capture, make_capture_set, make_deployment
from ami.main.tests.people import People
from ami.ml.models import Algorithm, Classification, Detection
from ami.ml.tests.factories import make_algorithm, make_category_map

pytestmark = [pytest.mark.integration, pytest.mark.django_db]
DETECTIONS = "/api/v2/detections/"
CLASSIFICATIONS = "/api/v2/classifications/"


def find(capture: SourceImage, algorithm: Algorithm, **fields: object) -> Detection:
    corners = {"x1": 1.0, "y1": 2.0, "x2": 3.0, "y2": 5.0}
    return Detection.objects.create(
        source_image=capture, detection_algorithm=algorithm, **{**corners, **fields}
    )


def name(detection: Detection, algorithm: Algorithm, label: str = "Vanessa atalanta") -> Classification:
    taxon, _ = Taxon.objects.get_or_create(name=label, defaults={"rank": "SPECIES"})
    return Classification.objects.create(
        detection=detection,
        algorithm=algorithm,
        taxon=taxon,
        category_map=algorithm.category_map,
        score=0.75,
        scores_packed=struct.pack("<3f", 0.125, 0.75, 0.25),
        logits_packed=struct.pack("<3f", 1, 4, 2),
    )


@pytest.fixture
def detection(people: People) -> Detection:
    return find(make_capture(make_deployment(people.project)), make_algorithm())


@pytest.fixture
def classifier(db: None) -> Algorithm:
    labels = ("Vanessa cardui", "Vanessa atalanta", "Unknown label")
    return make_algorithm(task_type="classification", category_map=make_category_map(*labels))


@pytest.mark.parametrize("path", [DETECTIONS, CLASSIFICATIONS])
def test_a_list_needs_a_project(people: People, path: str) -> None:
    client = people.client("superuser")
    assert client.get(path).json() == {"project_id": ["This field is required."]}
    assert client.get(f"{path}?project_id=999999").status_code == 404
    assert people.client("outsider").get(f"{path}?project_id={people.draft.pk}").status_code == 404


def test_a_detection_has_the_shape_of_the_contract(people: People, detection: Detection) -> None:
    item = people.client("anonymous").get(f"{DETECTIONS}?project_id={people.project.pk}").json()["results"][0]
    assert list(item) == [
        "id",
        "details",
        "bbox",
        "width",
        "height",
        "occurrence",
        "timestamp",
        "source_image",
        "detection_algorithm",
        "url",
        "user_permissions",
    ]
    assert item["bbox"] == [1.0, 2.0, 3.0, 5.0]
    assert (item["width"], item["height"]) == (2.0, 3.0)
    assert item["source_image"].endswith(f"/captures/{detection.source_image_id}/")
    assert item["detection_algorithm"].endswith(f"/algorithms/{detection.detection_algorithm_id}/")
    assert item["url"] is None


def test_the_page_of_a_detection_shows_its_names_best_first(
    people: People, detection: Detection, classifier: Algorithm
) -> None:
    name(detection, classifier)
    Classification.objects.filter(pk=name(detection, classifier, "Vanessa cardui").pk).update(score=0.9)
    shown = people.client("anonymous").get(f"{DETECTIONS}{detection.pk}/").json()
    assert shown["detection_algorithm"]["key"] == detection.detection_algorithm.key
    assert [item["taxon"]["name"] for item in shown["classifications"]] == [
        "Vanessa cardui",
        "Vanessa atalanta",
    ]
    assert list(shown["classifications"][0]) == [
        "id",
        "details",
        "taxon",
        "score",
        "terminal",
        "algorithm",
        "applied_to",
        "created_at",
    ]


def test_markers_for_nothing_found_are_not_shown(people: People) -> None:
    capture = make_capture(make_deployment(people.project))
    marker = Detection.objects.create(source_image=capture, detection_algorithm=make_algorithm())
    client = people.client("superuser")
    assert client.get(f"{DETECTIONS}?project_id={people.project.pk}").json()["count"] == 0
    assert client.get(f"{DETECTIONS}{marker.pk}/").status_code == 404


def test_only_a_picture_that_was_published_has_an_address(people: People) -> None:
    deployment = make_deployment(people.project)
    for path, url in (
        ("https://x/crop.jpg", "https://x/crop.jpg"),
        ("/etc/passwd", None),
        ("javascript:x", None),
    ):
        detection = find(make_capture(deployment), make_algorithm(), path=path)
        assert people.client("anonymous").get(f"{DETECTIONS}{detection.pk}/").json()["url"] == url


def test_a_classification_has_the_shape_of_the_contract(
    people: People, detection: Detection, classifier: Algorithm
) -> None:
    made = name(detection, classifier)
    client = people.client("anonymous")
    item = client.get(f"{CLASSIFICATIONS}?project_id={people.project.pk}").json()["results"][0]
    assert list(item) == [
        "id",
        "details",
        "taxon",
        "score",
        "algorithm",
        "applied_to",
        "created_at",
        "updated_at",
        "user_permissions",
    ]
    assert client.get(item["taxon"]).json()["name"] == "Vanessa atalanta"
    shown = client.get(f"{CLASSIFICATIONS}{made.pk}/").json()
    assert shown["scores"] == [0.125, 0.75, 0.25]
    assert shown["logits"] == [1.0, 4.0, 2.0]
    assert shown["taxon"]["name"] == "Vanessa atalanta"
    assert [
        (top["taxon"] and top["taxon"]["name"], top["score"], top["logit"]) for top in shown["top_n"]
    ] == [
        ("Vanessa atalanta", 0.75, 4.0),
        (None, 0.25, 2.0),
        (None, 0.125, 1.0),
    ]


def test_filters(people: People, detection: Detection, classifier: Algorithm) -> None:
    other = find(make_capture(make_deployment(people.project)), make_algorithm())
    first, second = name(detection, classifier), name(other, classifier, "Vanessa cardui")
    capture_set = make_capture_set(people.project, other.source_image)
    client, project = people.client("anonymous"), people.project.pk

    def ids(path: str, query: str) -> list[int]:
        return [item["id"] for item in client.get(f"{path}?project_id={project}&{query}").json()["results"]]

    assert ids(DETECTIONS, f"source_image={other.source_image_id}") == [other.pk]
    assert ids(DETECTIONS, f"detection_algorithm={detection.detection_algorithm_id}") == [detection.pk]
    assert ids(DETECTIONS, f"source_image__project={project}") == [detection.pk, other.pk]
    assert ids(CLASSIFICATIONS, f"taxon={second.taxon_id}") == [second.pk]
    assert ids(CLASSIFICATIONS, f"algorithm={classifier.pk}") == [first.pk, second.pk]
    assert ids(CLASSIFICATIONS, f"detection={detection.pk}") == [first.pk]
    assert ids(CLASSIFICATIONS, f"detection__source_image__collections={capture_set.pk}") == [second.pk]
    bad = client.get(f"{DETECTIONS}?project_id={project}&detection_algorithm=999999")
    assert bad.status_code == 400
    assert list(bad.json()) == ["detection_algorithm"]


@pytest.mark.parametrize("path", [DETECTIONS, CLASSIFICATIONS])
@pytest.mark.parametrize("who", ["anonymous", "manager", "superuser"])
def test_nobody_writes_predictions_here(people: People, path: str, who: str) -> None:
    assert people.client(who).post(path, {}).status_code in (401, 405)


@pytest.mark.parametrize("path", [DETECTIONS, CLASSIFICATIONS])
def test_a_list_costs_the_same_however_long_it_is(
    people: People, path: str, classifier: Algorithm, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    deployment = make_deployment(people.project)
    for _ in range(10):
        name(find(make_capture(deployment), make_algorithm()), classifier)
    client, path = people.client("manager"), f"{path}?project_id={people.project.pk}"
    client.get(path)
    with django_assert_max_num_queries(4):  # project, count, page, the caller's roles
        assert len(client.get(path).json()["results"]) == 10


def test_only_the_page_of_a_classification_reads_its_vectors(
    people: People, detection: Detection, classifier: Algorithm
) -> None:
    found = name(detection, classifier)
    project = people.project.pk
    calls = {
        f"{CLASSIFICATIONS}?project_id={project}": False,
        f"{DETECTIONS}?project_id={project}": False,
        f"{DETECTIONS}{detection.pk}/": False,
        f"/api/v2/captures/?project_id={project}&with_detections=true": False,
        f"{CLASSIFICATIONS}{found.pk}/": True,
    }
    for path, reads in calls.items():
        with CaptureQueriesContext(connection) as captured:
            assert people.client("superuser").get(path).status_code == 200
        assert any("scores_packed" in query["sql"] for query in captured) is reads, path

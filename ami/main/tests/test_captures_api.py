"""Captures."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from pytest_django import DjangoAssertNumQueries

from ami.jobs.models import Job
from ami.main.models import SourceImage
from ami.main.tests.factories import make_capture, make_capture_set, make_deployment, make_project
from ami.main.tests.people import People
from ami.ml.models import Algorithm, Detection

pytestmark = [pytest.mark.integration, pytest.mark.django_db]
CAPTURES = "/api/v2/captures/"
ITEM = [
    "id",
    "details",
    "deployment",
    "event",
    "url",
    "path",
    "timestamp",
    "width",
    "height",
    "size",
    "size_display",
    "detections_count",
    "occurrences_count",
    "taxa_count",
    "last_processed",
    "detections",
    "project",
    "thumbnails",
    "user_permissions",
]


def box(capture: SourceImage, algorithm: Algorithm, x1: float | None = 1) -> Detection:
    """A detection; without `x1` the marker that nothing was found."""
    corners = {"x1": x1, "y1": 2, "x2": 11, "y2": 22} if x1 is not None else {}
    return Detection.objects.create(source_image=capture, detection_algorithm=algorithm, **corners)


@pytest.fixture
def detector(db: None) -> Algorithm:
    return Algorithm.objects.create(name="Detector", key="detector", task_type="localization")


def test_a_list_needs_a_project(people: People) -> None:
    client = people.client("superuser")
    assert client.get(CAPTURES).json() == {"project_id": ["This field is required."]}
    assert client.get(f"{CAPTURES}?project_id=x").json() == {"project_id": ["A valid integer is required."]}
    assert client.get(f"{CAPTURES}?project_id=-1").status_code == 400
    assert client.get(f"{CAPTURES}?project_id=999999").status_code == 404
    assert people.client("outsider").get(f"{CAPTURES}?project_id={people.draft.pk}").status_code == 404


def test_an_item_has_the_shape_of_the_contract(people: People, detector: Algorithm) -> None:
    capture = make_capture(make_deployment(people.project))
    box(capture, detector)
    box(capture, detector, None)
    path = f"{CAPTURES}?project_id={people.project.pk}"
    item = people.client("member").get(path).json()["results"][0]
    assert list(item) == ITEM
    assert item["url"] == f"https://images.example.org/station/{capture.path}"
    assert item["size_display"] == "123 bytes"
    assert item["detections_count"] == 1
    assert item["detections"] == []
    assert item["project"] == people.project.pk
    shown = people.client("member").get(f"{path}&with_detections=true").json()["results"][0]["detections"]
    assert list(shown[0]) == [
        "id",
        "details",
        "url",
        "width",
        "height",
        "bbox",
        "occurrence",
        "classifications",
        "occurrence_meets_criteria",
    ]
    assert (shown[0]["bbox"], shown[0]["width"], shown[0]["height"]) == ([1, 2, 11, 22], 10, 20)
    assert people.client("member").get(shown[0]["classifications"]).status_code == 200


def test_the_own_page_adds_jobs_and_sets(people: People) -> None:
    capture = make_capture(make_deployment(people.project))
    capture_set = make_capture_set(people.project, capture)
    Job.objects.create(project=people.project, source_image_single=capture, name="J")
    shown = people.client("member").get(f"{CAPTURES}{capture.pk}/").json()
    assert [key for key in ITEM if key not in shown] == []
    assert [item["id"] for item in shown["collections"]] == [capture_set.pk]
    assert len(shown["jobs"]) == 1
    assert shown["uploaded_by"] is None


def test_filters(people: People, detector: Algorithm) -> None:
    here, there = make_deployment(people.project), make_deployment(people.project)
    found, empty, new = make_capture(here), make_capture(here), make_capture(there)
    box(found, detector)
    box(empty, detector, None)
    capture_set = make_capture_set(people.project, new)
    client = people.client("anonymous")

    def ids(query: str) -> set[int]:
        answer = client.get(f"{CAPTURES}?project_id={people.project.pk}&{query}").json()
        return {item["id"] for item in answer["results"]}

    assert ids(f"deployment={there.pk}") == {new.pk}
    assert ids(f"collections={capture_set.pk}") == {new.pk}
    assert ids("processed=true") == {found.pk, empty.pk}
    assert ids("processed") == {found.pk, empty.pk}
    assert ids("processed=false") == {new.pk}
    assert ids("has_detections=1") == {found.pk}
    assert ids("has_detections=0") == {empty.pk, new.pk}
    assert ids(f"project={people.project.pk}") == {found.pk, empty.pk, new.pk}


def test_a_filter_does_not_say_whether_a_strange_station_exists(people: People) -> None:
    hidden = make_deployment(people.draft)
    client = people.client("outsider")
    answers = [
        client.get(f"{CAPTURES}?project_id={people.project.pk}&deployment={key}")
        for key in (hidden.pk, 999999)
    ]
    assert [answer.status_code for answer in answers] == [400, 400]
    assert answers[0].json() == answers[1].json()


def test_last_processed_is_the_time_of_the_newest_prediction(people: People, detector: Algorithm) -> None:
    deployment = make_deployment(people.project)
    never, early, late = (make_capture(deployment) for _ in range(3))
    times = {}
    for hour, capture, x1 in ((1, late, 1), (2, early, 1), (3, late, None)):
        row = box(capture, detector, x1)
        times[capture.pk] = datetime(2026, 7, 1, hour, tzinfo=UTC)
        Detection.objects.filter(pk=row.pk).update(created_at=times[capture.pk])
    client = people.client("anonymous")
    for query, order in (
        ("last_processed", [early, late, never]),
        ("-last_processed", [late, early, never]),
    ):
        answer = client.get(f"{CAPTURES}?project_id={people.project.pk}&ordering={query}").json()["results"]
        assert [item["id"] for item in answer] == [capture.pk for capture in order]
        assert {item["id"]: item["last_processed"] for item in answer} == {
            never.pk: None,
            early.pk: "2026-07-01T02:00:00.000000Z",
            late.pk: "2026-07-01T03:00:00.000000Z",
        }
    page = client.get(f"{CAPTURES}{early.pk}/").json()
    assert page["last_processed"] == "2026-07-01T02:00:00.000000Z"


def test_captures_without_a_time_come_last(people: People) -> None:
    deployment = make_deployment(people.project)
    timeless, early, late = (
        make_capture(deployment, timestamp=None),
        make_capture(deployment),
        make_capture(deployment),
    )
    client = people.client("anonymous")
    for query, order in (
        ("", [late, early, timeless]),
        ("&ordering=timestamp", [early, late, timeless]),
        ("&ordering=-timestamp", [late, early, timeless]),
        ("&ordering=nonsense", [late, early, timeless]),
    ):
        answer = client.get(f"{CAPTURES}?project_id={people.project.pk}{query}").json()
        assert [item["id"] for item in answer["results"]] == [capture.pk for capture in order]


@pytest.mark.parametrize(
    ("who", "create", "update", "delete"),
    [
        ("anonymous", 401, 401, 401),
        ("outsider", 403, 403, 403),
        ("data_manager", 403, 403, 403),
        ("manager", 201, 200, 204),
        ("superuser", 201, 200, 204),
    ],
)
def test_managers_change_captures(people: People, who: str, create: int, update: int, delete: int) -> None:
    body = {"project": people.project.pk, "path": "a.jpg", "public_base_url": "https://images.example.org/"}
    client = people.client(who)
    assert client.post(CAPTURES, body).status_code == create
    one = f"{CAPTURES}{make_capture(make_deployment(people.project)).pk}/"
    assert client.patch(one, {"width": 10}).status_code == update
    assert client.delete(one).status_code == delete


@pytest.mark.parametrize(
    ("zone", "given", "stored"),
    [
        ("America/Panama", "2026-06-01T22:00:00", datetime(2026, 6, 2, 3, 0, tzinfo=UTC)),
        ("", "2026-06-01T22:00:00", datetime(2026, 6, 1, 22, 0, tzinfo=UTC)),
        ("America/Panama", "2026-06-01T22:00:00+02:00", datetime(2026, 6, 1, 20, 0, tzinfo=UTC)),
    ],
)
def test_a_time_without_a_zone_is_the_stations_time(
    people: People, zone: str, given: str, stored: datetime
) -> None:
    deployment = make_deployment(people.project, time_zone=zone)
    body = {
        "project": people.project.pk,
        "deployment_id": deployment.pk,
        "path": "a.jpg",
        "public_base_url": "https://images.example.org/",
        "timestamp": given,
    }
    made = people.client("manager").post(CAPTURES, body)
    assert made.status_code == 201, made.json()
    assert SourceImage.objects.get(pk=made.json()["id"]).timestamp == stored


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"public_base_url": ""}, "public_base_url"),
        ({"public_base_url": None}, "public_base_url"),
        ({"public_base_url": "file:///etc/"}, "public_base_url"),
        ({"path": ""}, "path"),
        ({"timestamp": "yesterday"}, "timestamp"),
    ],
)
def test_nobody_makes_a_capture_of_a_file_in_our_storage(
    people: People, body: dict[str, object], field: str
) -> None:
    good = {"project": people.project.pk, "path": "a.jpg", "public_base_url": "https://images.example.org/"}
    response = people.client("manager").post(CAPTURES, {**good, **body})
    assert response.status_code == 400
    assert list(response.json()) == [field]


def test_what_a_capture_is_never_changes(people: People) -> None:
    capture = make_capture(make_deployment(people.project), public_base_url="", path="captures/1/1/a.jpg")
    other = make_deployment(make_project(owner=people.user("manager")))
    client, one = people.client("manager"), f"{CAPTURES}{capture.pk}/"
    for body in ({"path": "captures/2/2/b.jpg"}, {"project": other.project_id}, {"deployment_id": other.pk}):
        assert client.patch(one, body).status_code == 400


def test_the_same_file_twice_at_one_station_is_a_sentence_and_no_500(people: People) -> None:
    capture = make_capture(make_deployment(people.project))
    body = {
        "project": people.project.pk,
        "deployment_id": capture.deployment_id,
        "path": capture.path,
        "public_base_url": "https://images.example.org/",
    }
    response = people.client("manager").post(CAPTURES, body)
    assert response.status_code == 400


def test_a_list_costs_the_same_however_long_it_is(
    people: People, detector: Algorithm, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    deployment = make_deployment(people.project)
    for _ in range(15):
        box(make_capture(deployment), detector)
    client = people.client("manager")
    path = f"{CAPTURES}?project_id={people.project.pk}&with_detections=1"
    client.get(path)
    with django_assert_max_num_queries(5):  # project, count, page, boxes, the caller's roles
        assert len(client.get(path).json()["results"]) == 15


def test_the_summary_counts_what_a_project_holds(people: People) -> None:
    make_capture(make_deployment(people.project))
    make_capture(make_deployment(people.draft))
    client = people.client("anonymous")
    assert client.get("/api/v2/status/summary/").status_code == 400
    assert client.get(f"/api/v2/status/summary/?project_id={people.draft.pk}").status_code == 404
    counts = client.get(f"/api/v2/status/summary/?project_id={people.project.pk}").json()
    assert counts["deployments_count"] == counts["num_deployments"] == 1
    assert counts["captures_count"] == counts["num_captures"] == 1
    assert {"num_sessions", "num_species", "events_count", "occurrences_count", "taxa_count"} <= set(counts)

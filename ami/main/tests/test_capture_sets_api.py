"""Capture sets."""

from __future__ import annotations

import pytest
from pytest_django import DjangoAssertNumQueries

from ami.main.capture_sets import populate
from ami.main.models import SourceImageCollection
from ami.main.tests.factories import make_capture, make_capture_set, make_deployment, make_project
from ami.main.tests.people import People
from ami.ml.models import Algorithm, Detection

pytestmark = [pytest.mark.integration, pytest.mark.django_db]
SETS = "/api/v2/captures/collections/"
ITEM = [
    "id",
    "details",
    "name",
    "project",
    "method",
    "kwargs",
    "source_images",
    "source_images_count",
    "source_images_with_detections_count",
    "source_images_processed_count",
    "occurrences_count",
    "taxa_count",
    "description",
    "jobs",
    "created_at",
    "updated_at",
    "user_permissions",
]


def test_an_item_has_the_shape_of_the_contract(people: People) -> None:
    deployment = make_deployment(people.project)
    found, empty, new = (make_capture(deployment) for _ in range(3))
    detector = Algorithm.objects.create(name="D", key="d")
    Detection.objects.create(source_image=found, detection_algorithm=detector, x1=1, y1=1, x2=2, y2=2)
    Detection.objects.create(source_image=empty, detection_algorithm=detector)
    capture_set = make_capture_set(people.project, found, empty, new)
    client = people.client("data_manager")
    item = client.get(f"{SETS}?project_id={people.project.pk}").json()["results"][0]
    assert list(item) == ITEM
    assert item["source_images_count"] == 3
    assert item["source_images_processed_count"] is None
    assert item["user_permissions"] == ["update", "delete", "populate"]
    counted = client.get(f"{SETS}{capture_set.pk}/?with_counts").json()
    assert counted["source_images_with_detections_count"] == 1
    assert counted["source_images_processed_count"] == 2
    assert client.get(item["source_images"]).json()["count"] == 3


@pytest.mark.parametrize(
    ("who", "create", "update", "delete"),
    [
        ("anonymous", 401, 401, 401),
        ("outsider", 403, 403, 403),
        ("member", 403, 403, 403),
        ("data_manager", 201, 200, 204),
        ("manager", 201, 200, 204),
        ("superuser", 201, 200, 204),
    ],
)
def test_data_managers_change_sets(people: People, who: str, create: int, update: int, delete: int) -> None:
    client = people.client(who)
    body = {
        "name": "Night 1",
        "project": people.project.pk,
        "method": "full",
        "kwargs": {},
        "description": "",
    }
    assert client.post(SETS, body).status_code == create
    capture = make_capture(make_deployment(people.project))
    one = f"{SETS}{make_capture_set(people.project).pk}/"
    assert client.patch(one, {"name": "Night 2"}).status_code == update
    assert client.post(f"{one}add/", {"source_image": capture.pk}).status_code == update
    assert client.delete(one).status_code == delete


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"method": "random"}, "method"),
        ({"kwargs": {"size": 3}}, "kwargs"),
        ({"kwargs": []}, "kwargs"),
        ({"method": "manual", "kwargs": {"image_ids": "all"}}, "kwargs"),
        ({"method": "manual", "kwargs": {"image_ids": [True]}}, "kwargs"),
        ({"method": "manual", "kwargs": {"image_ids": [2**70]}}, "kwargs"),
        ({"name": ""}, "name"),
        ({"project": 999999}, "project"),
    ],
)
def test_nonsense_is_refused_field_by_field(people: People, body: dict[str, object], field: str) -> None:
    response = people.client("manager").post(SETS, {"name": "S", "project": people.project.pk, **body})
    assert response.status_code == 400
    assert list(response.json()) == [field]


def test_captures_are_added_and_removed_one_by_one_and_repeating_changes_nothing(people: People) -> None:
    deployment = make_deployment(people.project)
    first, second = make_capture(deployment), make_capture(deployment)
    one = f"{SETS}{make_capture_set(people.project, first).pk}/"
    client = people.client("data_manager")
    for _ in range(2):
        answer = client.post(f"{one}add/", {"source_image": second.pk})
        assert answer.json() == {"collection": int(one.split("/")[-2]), "total_images": 2}
    assert client.post(f"{one}remove/?source_image={second.pk}").json()["total_images"] == 1
    assert client.post(f"{one}remove/", {"source_image": str(second.pk)}).json()["total_images"] == 1


@pytest.mark.parametrize("named", [999999, "x", -1, True, 2**80])
def test_a_capture_that_is_not_there_is_a_404(people: People, named: object) -> None:
    one = f"{SETS}{make_capture_set(people.project).pk}/"
    assert people.client("data_manager").post(f"{one}add/", {"source_image": named}).status_code == 404


def test_a_capture_of_another_project_cannot_be_added(people: People) -> None:
    stranger = make_capture(make_deployment(make_project(owner=people.user("data_manager"))))
    one = f"{SETS}{make_capture_set(people.project).pk}/"
    client = people.client("data_manager")
    assert client.post(f"{one}add/", {"source_image": stranger.pk}).status_code == 404
    assert client.post(f"{one}add/", {}).json() == {"source_image": ["This field is required."]}


def test_filling_a_full_set_takes_every_capture_of_the_project_and_no_other(people: People) -> None:
    deployment, stranger = make_deployment(people.project), make_deployment(people.draft)
    captures = [make_capture(deployment) for _ in range(3)]
    make_capture(stranger)
    capture_set = SourceImageCollection.objects.create(project=people.project, name="All")
    assert populate(capture_set) == 3
    assert populate(capture_set) == 0
    assert set(capture_set.images.all()) == set(captures)
    make_capture(deployment)
    assert populate(capture_set) == 1


def test_filling_a_manual_set_takes_the_named_captures_of_the_project(people: People) -> None:
    deployment = make_deployment(people.project)
    chosen, other = make_capture(deployment), make_capture(deployment)
    stranger = make_capture(make_deployment(people.draft))
    capture_set = make_capture_set(people.project, kwargs={"image_ids": [chosen.pk, stranger.pk, 999999]})
    assert populate(capture_set) == 1
    assert list(capture_set.images.all()) == [chosen]
    assert other not in capture_set.images.all()


def test_a_list_costs_the_same_however_long_it_is(
    people: People, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    deployment = make_deployment(people.project)
    for _ in range(10):
        make_capture_set(people.project, make_capture(deployment))
    client = people.client("manager")
    path = f"{SETS}?project_id={people.project.pk}"
    client.get(path)
    with django_assert_max_num_queries(5):  # project, count, page, jobs, the caller's roles
        assert len(client.get(path).json()["results"]) == 10

"""Capture sets."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from pytest_django import DjangoAssertNumQueries

from ami.main.models import SourceImage, SourceImageCollection
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
        ({"method": "guess"}, "method"),
        ({"method": "random", "kwargs": {"size": 0}}, "kwargs"),
        ({"kwargs": {"size": 3}}, "kwargs"),
        ({"kwargs": []}, "kwargs"),
        ({"method": "manual", "kwargs": {"image_ids": "all"}}, "kwargs"),
        ({"method": "manual", "kwargs": {"image_ids": [True]}}, "kwargs"),
        ({"method": "manual", "kwargs": {"image_ids": [2**70]}}, "kwargs"),
        ({"method": "manual", "kwargs": {"image_ids": ["x"]}}, "kwargs"),
        ({"method": "manual", "kwargs": {"image_ids": [1.5]}}, "kwargs"),
        ({"method": "manual", "kwargs": {"image_ids": None}}, "kwargs"),
        ({"method": "manual", "kwargs": "1,2"}, "kwargs"),
        ({"method": "manual", "kwargs": None}, "kwargs"),
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


def members(answer: Any) -> set[int]:
    """The captures that a set holds after this answer."""
    return set(SourceImageCollection.objects.get(pk=answer.json()["id"]).images.values_list("pk", flat=True))


def manual(people: People, *ids: object) -> dict[str, Any]:
    """The body of a manual set."""
    return {
        "name": "S",
        "project": people.project.pk,
        "method": "manual",
        "kwargs": {"image_ids": [*ids]},
    }


def test_a_manual_set_holds_exactly_the_named_captures_when_it_answers(people: People) -> None:
    deployment = make_deployment(people.project)
    first, second, third = (make_capture(deployment).pk for _ in range(3))
    client = people.client("data_manager")
    made = client.post(SETS, manual(people, first, second, first))
    assert (made.status_code, made.json()["source_images_count"], members(made)) == (201, 2, {first, second})
    one = f"{SETS}{made.json()['id']}/"
    changed = client.patch(one, {"kwargs": {"image_ids": [second, third]}})
    assert (changed.json()["source_images_count"], members(changed)) == (2, {second, third})
    client.post(f"{one}add/", {"source_image": first})
    assert members(client.patch(one, {"name": "T"})) == {first, second, third}, "the choice was not named"
    assert members(client.patch(one, {"kwargs": {"image_ids": []}})) == set()


def test_a_set_that_changes_its_method_holds_what_the_new_one_says(people: People) -> None:
    deployment = make_deployment(people.project)
    first, second = make_capture(deployment).pk, make_capture(deployment).pk
    client = people.client("data_manager")
    made = client.post(SETS, manual(people, first))
    one = f"{SETS}{made.json()['id']}/"
    full = client.patch(one, {"method": "full", "kwargs": {}})
    assert (full.json()["source_images_count"], members(full)) == (2, set())
    again = client.patch(one, {"method": "manual", "kwargs": {"image_ids": [second]}})
    assert (again.json()["source_images_count"], members(again)) == (1, {second})


def test_captures_that_the_project_does_not_have_are_named_in_a_sentence(people: People) -> None:
    mine, stranger = (
        make_capture(make_deployment(people.project)),
        make_capture(make_deployment(people.draft)),
    )
    client = people.client("data_manager")

    def refusal(*ids: int) -> Any:
        answer = client.post(SETS, manual(people, *ids))
        assert answer.status_code == 400
        return answer.json()

    assert refusal(mine.pk, stranger.pk) == {"kwargs": [f"The project has no capture {stranger.pk}."]}
    assert refusal(900003, mine.pk, 900001) == {"kwargs": ["The project has no captures 900003 and 900001."]}
    many = range(900001, 911001)
    sentence = "The project has no captures 900001, 900002, 900003 and 10,997 more."
    assert refusal(*many) == {"kwargs": [sentence]}
    assert not SourceImageCollection.objects.filter(name="S").exists()
    one = f"{SETS}{make_capture_set(people.project, mine).pk}/"
    assert client.patch(one, {"kwargs": {"image_ids": [stranger.pk]}}).status_code == 400
    assert members(client.get(one)) == {mine.pk}


def test_two_thousand_captures_cost_as_many_statements_as_one(people: People) -> None:
    deployment = make_deployment(people.project)
    ids = [
        capture.pk
        for capture in SourceImage.objects.bulk_create(
            SourceImage(project=people.project, deployment=deployment, path=f"{number}.jpg")
            for number in range(2_000)
        )
    ]
    client = people.client("data_manager")
    client.post(SETS, manual(people, ids[0]))
    costs = []
    for chosen in (ids[:1], ids):
        with CaptureQueriesContext(connection) as queries:
            made = client.post(SETS, manual(people, *chosen))
        assert made.json()["source_images_count"] == len(chosen)
        costs.append(len(queries))
    assert costs[0] == costs[1]


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

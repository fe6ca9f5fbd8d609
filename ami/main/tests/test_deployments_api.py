"""Camera stations, devices and sites."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.db.models import Model
from pytest_django import DjangoAssertNumQueries

from ami.jobs.models import Job
from ami.main.models import Device, Project, Site
from ami.main.tests.factories import NIGHT, make_capture, make_deployment, make_project
from ami.main.tests.people import People

pytestmark = [pytest.mark.integration, pytest.mark.django_db]
DEPLOYMENTS = "/api/v2/deployments/"
ITEM = [
    "id",
    "name",
    "details",
    "image",
    "events",
    "occurrences",
    "events_count",
    "captures_count",
    "occurrences_count",
    "taxa_count",
    "project",
    "created_at",
    "updated_at",
    "latitude",
    "longitude",
    "first_date",
    "last_date",
    "device",
    "research_site",
    "jobs",
    "data_source_connected",
    "user_permissions",
]


def test_a_list_item_has_the_shape_of_the_contract(people: People) -> None:
    device = Device.objects.create(name="Trap", project=people.project)
    deployment = make_deployment(people.project, device=device, latitude=1, longitude=2)
    make_capture(deployment, timestamp=NIGHT)
    make_capture(deployment, timestamp=None)
    job = Job.objects.create(project=people.project, deployment=deployment, name="J", pipeline=None)
    item = people.client("member").get(f"{DEPLOYMENTS}?project_id={people.project.pk}").json()["results"][0]
    assert list(item) == ITEM
    assert item["captures_count"] == 2
    assert item["first_date"] == item["last_date"] == "2026-06-01T22:00:00.000000Z"
    assert list(item["project"]) == ["id", "name", "image", "details", "user_permissions"]
    assert item["device"]["name"] == "Trap"
    assert item["research_site"] is None
    assert list(item["jobs"][0]) == ["id", "details", "status", "job_type", "created_at", "updated_at"]
    assert item["jobs"][0]["details"] == f"http://testserver/api/v2/jobs/{job.pk}/"
    assert item["jobs"][0]["job_type"] == {"name": "ML pipeline", "key": "ml"}


def test_the_own_page_adds_examples_and_the_data_source(people: People) -> None:
    deployment = make_deployment(people.project)
    capture = make_capture(deployment)
    shown = people.client("anonymous").get(f"{DEPLOYMENTS}{deployment.pk}/").json()
    assert [key for key in ITEM if key not in shown] == []
    assert shown["data_source"] is None
    assert shown["data_source_total_files"] == 0
    assert [example["id"] for example in shown["example_captures"]] == [capture.pk]
    assert shown["manually_uploaded_captures"] == []


def test_filtering_by_project(people: People) -> None:
    make_deployment(people.project)
    other = make_deployment(make_project())
    client = people.client("anonymous")
    assert client.get(DEPLOYMENTS).json()["count"] == 2
    found = client.get(f"{DEPLOYMENTS}?project_id={other.project_id}").json()["results"]
    assert [item["id"] for item in found] == [other.pk]
    assert client.get(f"{DEPLOYMENTS}?project_id=999999").json()["count"] == 2  # the contract: no filter
    answer = client.get(f"{DEPLOYMENTS}?project_id=x")
    assert (answer.status_code, answer.json()) == (400, {"project_id": ["A valid integer is required."]})


@pytest.mark.parametrize(("who", "status"), [("anonymous", 404), ("outsider", 404), ("member", 200)])
def test_stations_of_a_draft_are_for_its_members(people: People, who: str, status: int) -> None:
    deployment = make_deployment(people.draft)
    assert people.client(who).get(f"{DEPLOYMENTS}{deployment.pk}/").status_code == status
    assert people.client(who).get(DEPLOYMENTS).json()["count"] == (1 if status == 200 else 0)


@pytest.mark.parametrize(
    ("who", "create", "update", "delete"),
    [
        ("anonymous", 401, 401, 401),
        ("outsider", 403, 403, 403),
        ("member", 403, 403, 403),
        ("data_manager", 403, 403, 403),
        ("manager", 201, 200, 204),
        ("superuser", 201, 200, 204),
    ],
)
@pytest.mark.parametrize("kind", ["", "devices/", "sites/"])
def test_managers_change_stations_devices_and_sites(
    people: People, who: str, create: int, update: int, delete: int, kind: str
) -> None:
    client, project = people.client(who), people.project
    named = {"project_id": project.pk} if kind == "" else {"project": project.pk}
    made = client.post(f"{DEPLOYMENTS}{kind}", {"name": "New", "latitude": 45.1, "longitude": -72.2, **named})
    assert made.status_code == create
    make: dict[str, Callable[[Project], Model]] = {
        "": make_deployment,
        "devices/": _device,
        "sites/": _site,
    }
    one = f"{DEPLOYMENTS}{kind}{make[kind](project).pk}/"
    assert client.patch(one, {"name": "Newer"}).status_code == update
    assert client.delete(one).status_code == delete


def _device(project: Project) -> Device:
    return Device.objects.create(name="D", project=project)


def _site(project: Project) -> Site:
    return Site.objects.create(name="S", project=project)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"name": ""}, "name"),
        ({"latitude": 91}, "latitude"),
        ({"longitude": -181}, "longitude"),
        ({"latitude": "NaN"}, "latitude"),
        ({"time_zone": "Mars/Olympus"}, "time_zone"),
        ({"device_id": 999999}, "device_id"),
        ({"name": "a\x00b"}, "name"),
    ],
)
def test_nonsense_is_refused_field_by_field(people: People, body: dict[str, object], field: str) -> None:
    one = f"{DEPLOYMENTS}{make_deployment(people.project).pk}/"
    response = people.client("manager").patch(one, body)
    assert response.status_code == 400
    assert list(response.json()) == [field]


def test_a_station_cannot_take_or_move_to_what_belongs_to_another_project(people: People) -> None:
    other = make_project(owner=people.user("manager"))
    deployment = make_deployment(people.project)
    client, one = people.client("manager"), f"{DEPLOYMENTS}{deployment.pk}/"
    assert client.patch(one, {"device_id": _device(other).pk}).json() == {
        "device_id": ["This does not belong to the project."]
    }
    assert client.patch(one, {"project_id": other.pk}).status_code == 400
    assert client.patch(one, {"device_id": Device.objects.create(name="Everybody's").pk}).status_code == 200
    device = f"{DEPLOYMENTS}devices/{_device(people.project).pk}/"
    assert client.patch(device, {"project": other.pk}).status_code == 400


def test_a_draft_of_others_cannot_be_named_when_something_is_made(people: People) -> None:
    response = people.client("outsider").post(DEPLOYMENTS, {"name": "Spy", "project_id": people.draft.pk})
    assert response.status_code == 400
    assert list(response.json()) == ["project_id"]


def test_devices_of_nobody_are_everybodys_to_see_and_nobodys_to_change(people: People) -> None:
    device = Device.objects.create(name="Common")
    _device(people.draft)
    assert people.client("anonymous").get(f"{DEPLOYMENTS}devices/").json()["count"] == 1
    assert people.client("manager").delete(f"{DEPLOYMENTS}devices/{device.pk}/").status_code == 403
    assert people.client("superuser").delete(f"{DEPLOYMENTS}devices/{device.pk}/").status_code == 204


def test_a_list_costs_the_same_however_long_it_is(
    people: People, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    for _ in range(10):
        deployment = make_deployment(
            people.project, device=_device(people.project), research_site=_site(people.project)
        )
        make_capture(deployment)
        Job.objects.create(project=people.project, deployment=deployment, name="J")
    client = people.client("manager")
    path = f"{DEPLOYMENTS}?project_id={people.project.pk}"
    client.get(path)
    with django_assert_max_num_queries(5):  # project, count, page, jobs, the caller's roles
        assert len(client.get(path).json()["results"]) == 10

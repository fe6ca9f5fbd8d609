"""Pipelines, algorithms, categories and processing services."""

from __future__ import annotations

from datetime import timedelta

import pytest
from pytest_django import DjangoAssertNumQueries
from pytest_django.fixtures import Settings

from ami.base import clock
from ami.base.tests.servers import listener
from ami.main.tests.factories import make_project
from ami.main.tests.people import People
from ami.ml.models import ProcessingService, ProjectPipelineConfig
from ami.ml.tests.factories import make_algorithm, make_category_map, make_pipeline, make_service
from ami.users.tests.factories import client_of, make_user

pytestmark = [pytest.mark.integration, pytest.mark.django_db]
PIPELINES = "/api/v2/ml/pipelines/"
ALGORITHMS = "/api/v2/ml/algorithms/"
LABELS = "/api/v2/ml/labels/"
SERVICES = "/api/v2/ml/processing_services/"
PIPELINE = [
    "id",
    "details",
    "name",
    "slug",
    "description",
    "algorithms",
    "stages",
    "processing_services",
    "project_pipeline_configs",
    "created_at",
    "updated_at",
    "user_permissions",
]
ALGORITHM = [
    "id",
    "details",
    "name",
    "key",
    "description",
    "uri",
    "version",
    "version_name",
    "task_type",
    "category_map",
    "category_count",
    "created_at",
    "updated_at",
    "user_permissions",
]
SERVICE = [
    "id",
    "details",
    "name",
    "description",
    "projects",
    "endpoint_url",
    "is_async",
    "pipelines",
    "created_at",
    "updated_at",
    "last_seen",
    "last_seen_live",
    "user_permissions",
]


def test_a_pipeline_has_the_shape_of_the_contract(people: People) -> None:
    labels = make_category_map("a", "b", "c")
    named = make_algorithm(name="B", task_type="classification", category_map=labels)
    pipeline = make_pipeline(people.project, algorithms=[make_algorithm(name="A"), named])
    service = make_service(people.project, pipeline)
    item = people.client("anonymous").get(f"{PIPELINES}?project_id={people.project.pk}").json()["results"][0]
    assert list(item) == PIPELINE
    assert list(item["algorithms"][0]) == ALGORITHM
    assert [algorithm["category_count"] for algorithm in item["algorithms"]] == [None, 3]
    assert list(item["algorithms"][1]["category_map"]) == ["id", "details"]
    assert item["stages"][0]["key"] == "default"
    assert item["processing_services"][0]["id"] == service.pk
    assert item["processing_services"][0]["is_async"] is True
    assert item["project_pipeline_configs"][0]["project"].endswith(f"/projects/{people.project.pk}/")
    assert item["user_permissions"] == []


def test_with_a_project_only_its_enabled_pipelines_are_listed(people: People) -> None:
    used, disabled, other = (
        make_pipeline(people.project),
        make_pipeline(people.project),
        make_pipeline(make_project()),
    )
    ProjectPipelineConfig.objects.filter(pipeline=disabled).update(enabled=False)
    client = people.client("anonymous")
    for path in (
        f"{PIPELINES}?project_id={people.project.pk}",
        f"/api/v2/projects/{people.project.pk}/pipelines/",
    ):
        assert [item["id"] for item in client.get(path).json()["results"]] == [used.pk]
    assert {item["id"] for item in client.get(PIPELINES).json()["results"]} == {
        used.pk,
        disabled.pk,
        other.pk,
    }


def test_what_belongs_to_hidden_projects_is_hidden(people: People) -> None:
    hidden, shared = make_pipeline(people.draft), make_pipeline(people.project, people.draft)
    make_service(people.draft, shared, name="Secret service")
    for who, sees in (("outsider", False), ("member", True)):
        client = people.client(who)
        assert client.get(f"{PIPELINES}{hidden.pk}/").status_code == (200 if sees else 404)
        shown = client.get(f"{PIPELINES}{shared.pk}/").json()
        assert bool(shown["processing_services"]) is sees
        assert len(shown["project_pipeline_configs"]) == (2 if sees else 1)
        assert client.get(f"/api/v2/projects/{people.draft.pk}/pipelines/").status_code == (
            200 if sees else 404
        )
    beside = people.client("member").get(f"{PIPELINES}{shared.pk}/?project_id={people.project.pk}").json()
    assert beside["processing_services"] == []
    assert len(beside["project_pipeline_configs"]) == 1


@pytest.mark.parametrize(("who", "status"), [("anonymous", 401), ("manager", 403), ("superuser", 200)])
def test_only_staff_changes_pipelines(people: People, who: str, status: int) -> None:
    pipeline = make_pipeline(people.project)
    assert people.client(who).patch(f"{PIPELINES}{pipeline.pk}/", {"name": "New"}).status_code == status


def test_staff_without_a_role_may_change_the_catalogue(people: People) -> None:
    client = client_of(make_user(is_staff=True))
    made = client.post(PIPELINES, {"name": "P", "slug": "p"})
    assert made.status_code == 201
    assert made.json()["user_permissions"] == ["update", "delete"]
    assert client.post(PIPELINES, {"name": "P", "slug": "p"}).status_code == 400


def test_algorithms_of_a_project_are_those_of_its_enabled_pipelines(people: People) -> None:
    used, unused = make_algorithm(name="Used", version=2), make_algorithm(name="Unused")
    for _ in range(2):
        make_pipeline(people.project, algorithms=[used])
    client = people.client("anonymous")
    found = client.get(f"{ALGORITHMS}?project_id={people.project.pk}").json()
    assert [item["id"] for item in found["results"]] == [used.pk]
    assert client.get(ALGORITHMS).json()["count"] == 2
    assert client.get(f"{ALGORITHMS}{unused.pk}/?project_id={people.project.pk}").status_code == 200
    assert client.get(f"{ALGORITHMS}?name=Unused").json()["count"] == 1
    assert client.get(f"{ALGORITHMS}?version=2").json()["count"] == 1
    assert client.get(f"{ALGORITHMS}?search=unu").json()["count"] == 1


def test_categories_are_a_page_of_their_own(people: People) -> None:
    category_map = make_category_map("a", "b")
    algorithm = make_algorithm(category_map=category_map)
    item = people.client("anonymous").get(LABELS).json()["results"][0]
    assert list(item) == [
        "id",
        "labels",
        "data",
        "algorithms",
        "version",
        "uri",
        "created_at",
        "updated_at",
        "user_permissions",
    ]
    assert item["labels"] == ["a", "b"]
    assert item["algorithms"] == [f"http://testserver{ALGORITHMS}{algorithm.pk}/"]


@pytest.mark.parametrize("path", [PIPELINES, ALGORITHMS, LABELS, f"{SERVICES}?project_id={{}}"])
def test_a_list_costs_the_same_however_long_it_is(
    people: People, path: str, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    for _ in range(8):
        algorithms = [make_algorithm(category_map=make_category_map("a")) for _ in range(3)]
        make_service(people.project, make_pipeline(people.project, algorithms=algorithms))
    client, path = people.client("manager"), path.format(people.project.pk)
    client.get(path)
    with django_assert_max_num_queries(6):
        assert len(client.get(path).json()["results"]) >= 8


# Processing services


def test_services_are_asked_for_by_project(people: People) -> None:
    service = make_service(people.project, make_pipeline(people.project))
    client = people.client("anonymous")
    for path in (SERVICES, f"{SERVICES}{service.pk}/", f"{SERVICES}{service.pk}/status/"):
        assert client.get(path).json() == {"project_id": ["This field is required."]}
    item = client.get(f"{SERVICES}?project_id={people.project.pk}").json()["results"][0]
    assert list(item) == SERVICE
    assert item["projects"] == [people.project.pk]
    other = make_project()
    assert client.get(f"{SERVICES}{service.pk}/?project_id={other.pk}").status_code == 404
    assert client.get(f"{SERVICES}?project_id={people.draft.pk}").status_code == 404


def test_a_new_service_belongs_to_the_active_project_and_nobody_is_called(
    people: People, settings: Settings
) -> None:
    settings.OUTGOING_ALLOWED_NETWORKS = ["127.0.0.0/8"]
    with listener() as ear:
        body = {"name": "Svc", "description": "", "endpoint_url": f"http://127.0.0.1:{ear.port}/base"}
        response = people.client("manager").post(f"{SERVICES}?project_id={people.project.pk}", body)
        assert not ear.saw_something()
    assert response.status_code == 201
    made = response.json()
    assert list(made) == ["instance", "status"]
    assert list(made["instance"]) == SERVICE
    assert made["instance"]["projects"] == [people.project.pk]
    assert made["instance"]["is_async"] is False
    assert made["status"]["server_live"] is None
    assert made["status"]["request_successful"] is False


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "name"),
        ({"name": ""}, "name"),
        ({"name": "S", "endpoint_url": ""}, "endpoint_url"),
        ({"name": "S", "endpoint_url": "file:///etc/passwd"}, "endpoint_url"),
        ({"name": "S", "endpoint_url": "http://" + "x" * 2000}, "endpoint_url"),
        ({"name": "S", "endpoint_url": "http://me:secret@example.org/"}, "endpoint_url"),
        ({"name": "S", "endpoint_url": "http://127.0.0.1:2000"}, "endpoint_url"),
        ({"name": "S", "endpoint_url": "http://0x7f000001:2000"}, "endpoint_url"),
        ({"name": "S", "endpoint_url": "http://169.254.169.254/latest/"}, "endpoint_url"),
        ({"name": "S", "endpoint_url": "http://[::ffff:10.0.0.1]/"}, "endpoint_url"),
    ],
)
def test_a_service_of_nonsense_is_refused(people: People, body: dict[str, str], field: str) -> None:
    response = people.client("superuser").post(f"{SERVICES}?project_id={people.project.pk}", body)
    assert response.status_code == 400
    assert list(response.json()) == [field]
    assert response.json()[field][0].endswith(".")


def test_a_service_may_be_named_without_a_domain_as_in_compose_files(people: People) -> None:
    body = {"name": "S", "endpoint_url": "http://svc:2000"}
    response = people.client("manager").post(f"{SERVICES}?project_id={people.project.pk}", body)
    assert response.status_code == 201


@pytest.mark.parametrize(
    ("who", "status"),
    [
        ("anonymous", 401),
        ("outsider", 403),
        ("member", 403),
        ("data_manager", 403),
        ("manager", 201),
        ("superuser", 201),
    ],
)
def test_managers_of_the_project_and_staff_add_services(people: People, who: str, status: int) -> None:
    body = {"name": "S", "endpoint_url": None, "project_id": people.project.pk}
    assert people.client(who).post(SERVICES, body).status_code == status
    assert people.client(who).post(SERVICES, {**body, "name": ""}).status_code == (
        400 if status == 201 else status
    )
    listed = people.client(who).get(f"{SERVICES}?project_id={people.project.pk}").json()
    assert listed["user_permissions"] == (["create"] if status == 201 else [])


def test_a_manager_adds_services_to_no_other_project(people: People) -> None:
    body = {"name": "S", "project_id": make_project().pk}
    assert people.client("manager").post(SERVICES, body).status_code == 403
    assert not ProcessingService.objects.exists()


@pytest.mark.parametrize("method", ["put", "patch", "delete"])
def test_only_staff_changes_services(people: People, method: str) -> None:
    service = make_service(people.project)
    path = f"{SERVICES}{service.pk}/?project_id={people.project.pk}"
    for who, status in [("anonymous", 401), ("member", 403), ("manager", 403)]:
        assert getattr(people.client(who), method)(path, {"name": "Mine"}).status_code == status
    assert getattr(people.client("superuser"), method)(path, {"name": "Mine"}).status_code in {200, 204}


@pytest.mark.parametrize(("seconds_ago", "online"), [(None, False), (5, True), (61, False)])
def test_the_state_of_a_pull_service_is_what_was_seen(
    people: People, seconds_ago: int | None, online: bool
) -> None:
    pipeline = make_pipeline(people.project, name="Moths")
    seen = None if seconds_ago is None else clock.now() - timedelta(seconds=seconds_ago)
    service = make_service(people.project, pipeline, last_seen=seen, last_seen_live=seen and True)
    client, query = people.client("anonymous"), f"?project_id={people.project.pk}"
    state = client.get(f"{SERVICES}{service.pk}/status/{query}").json()
    assert list(state) == [
        "timestamp",
        "request_successful",
        "pipeline_configs",
        "error",
        "server_live",
        "pipelines_online",
        "endpoint_url",
        "latency",
    ]
    assert state["server_live"] is online
    assert state["pipelines_online"] == (["Moths"] if online else [])
    assert (state["endpoint_url"], state["latency"]) == (None, 0.0)
    assert bool(client.get(f"{SERVICES}{service.pk}/{query}").json()["last_seen_live"]) is online
    assert ProcessingService.objects.get().last_seen == seen

"""Addresses with and without a slash, and what answers where nothing is."""

from __future__ import annotations

import pytest
from django.test import Client
from django.urls import reverse
from pytest_django.fixtures import Settings
from rest_framework.test import APIClient

from ami.main.tests.people import People

pytestmark = [pytest.mark.integration, pytest.mark.django_db]


def test_the_root_leads_to_the_pages_for_people_and_they_to_the_api() -> None:
    response = Client().get("/")
    assert response.status_code == 302
    assert response["Location"] == "/projects/"
    assert 'href="/api/v2/docs/"' in Client().get("/projects/").content.decode()
    assert Client().get("/api/v2/").status_code == 200


def test_a_read_without_slash_is_redirected_with_its_query() -> None:
    response = APIClient().get("/api/v2/projects?limit=1&name=a%2Cb")
    assert response.status_code == 301
    assert response["Location"] == "/api/v2/projects/?limit=1&name=a%2Cb"


@pytest.mark.parametrize("debug", [False, True])
def test_a_write_without_slash_is_served(people: People, settings: Settings, debug: bool) -> None:
    settings.DEBUG = debug
    client = people.client("manager")
    made = client.post("/api/v2/projects", {"name": "New"})
    assert made.status_code == 201
    page = f"/api/v2/projects/{made.json()['id']}"
    assert client.patch(page, {"name": "Newer"}).json()["name"] == "Newer"
    assert client.delete(page).status_code == 204


@pytest.mark.parametrize("path", ["/api/v2/nowhere", "/api/v2/nowhere/", "/api/v2/projects/1/nowhere"])
@pytest.mark.parametrize("method", ["get", "post"])
def test_an_address_that_does_not_exist_is_a_404_in_json(path: str, method: str) -> None:
    response = getattr(APIClient(), method)(path)
    assert response.status_code == 404
    assert response.json() == {"detail": "Not found."}


def test_a_format_suffix_works() -> None:
    assert APIClient().get("/api/v2/projects.json").json()["count"] == 0


@pytest.mark.parametrize("name", ["api:schema", "api:docs"])
def test_the_description_of_the_api_is_public(name: str) -> None:
    assert Client().get(reverse(name)).status_code == 200


@pytest.mark.parametrize(
    "route",
    [
        "projects",
        "deployments",
        "captures",
        "captures/collections",
        "captures/upload",
        "jobs",
        "users",
        "ml/pipelines",
        "detections",
        "classifications",
        "taxa",
    ],
)
def test_a_key_of_nonsense_is_a_404_and_never_a_500(people: People, route: str) -> None:
    client = people.client("superuser")
    keys = ["0", "x", "-1", "1%00", "9" * 30, "٣", "1.5", "1e3"]
    assert {key: client.get(f"/api/v2/{route}/{key}/").status_code for key in keys} == dict.fromkeys(
        keys, 404
    )


@pytest.mark.parametrize(
    "query",
    [
        "projects/?search={}",
        "projects/?user_id={}",
        "projects/?limit={}&offset={}",
        "captures/?project_id={}",
        "captures/?project_id={p}&deployment={}",
        "captures/?project_id={p}&collections={}",
        "jobs/?project_id={}",
        "jobs/?status={}",
        "jobs/?cutoff_hours={}",
        "jobs/?pipeline__slug__in={}",
        "jobs/?search={}",
        "detections/?project_id={p}&source_image={}",
        "classifications/?project_id={p}&detection={}",
        "ml/algorithms/?version={}",
        "ml/algorithms/?name={}",
        "ml/pipelines/?search={}",
        "deployments/?ordering={}",
        "projects/{}/pipelines/",
        "projects/{}/members/",
        "taxa/?parent={}",
    ],
)
def test_a_query_of_nonsense_is_never_a_500(people: People, query: str) -> None:
    client = people.client("superuser")
    for value in ["%00", "9" * 40, "-1", "1.5", "%F0%9F", "'", ""]:
        path = query.replace("{p}", str(people.project.pk)).replace("{}", value)
        assert client.get(f"/api/v2/{path}").status_code < 500, path


ROUTES = [
    "projects/",
    "deployments/",
    "deployments/devices/",
    "deployments/sites/",
    "captures/?project_id={p}",
    "captures/collections/",
    "captures/upload/",
    "projects/{p}/pipelines/",
    "projects/{p}/members/",
    "ml/pipelines/",
    "ml/algorithms/",
    "ml/labels/",
    "ml/processing_services/?project_id={p}",
    "detections/?project_id={p}",
    "classifications/?project_id={p}",
    "taxa/",
    "jobs/",
    "users/",
]


@pytest.mark.parametrize("route", ROUTES)
def test_every_list_has_a_page_for_people_and_says_what_it_can(people: People, route: str) -> None:
    path = f"/api/v2/{route.replace('{p}', str(people.project.pk))}"
    client = people.client("superuser")
    page = client.get(path, headers={"accept": "text/html"})
    assert page.status_code == 200
    assert page["Content-Type"].startswith("text/html")
    assert client.options(path).status_code == 200


@pytest.mark.parametrize("route", ROUTES)
def test_a_stranger_who_writes_is_turned_away_before_the_body_is_read(people: People, route: str) -> None:
    path = f"/api/v2/{route.replace('{p}', str(people.project.pk))}"
    response = people.client("anonymous").post(path, b"{" * 10_000, content_type="application/json")
    assert response.status_code in (401, 405)

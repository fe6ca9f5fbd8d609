"""Asking push services: whether they are there, and what they offer."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import orjson
import pytest
from pytest_django.fixtures import Settings

from ami.base import clock
from ami.base.outgoing import Limits
from ami.base.tests.servers import Service, http_service, listener, rude_server, says_nothing
from ami.main.models import Project
from ami.main.tests.factories import add_member, make_project
from ami.main.tests.people import People
from ami.ml import push, services
from ami.ml.models import Algorithm, Pipeline, ProcessingService, ProjectPipelineConfig
from ami.ml.tests.factories import announcement, classifier, make_pipeline, make_service
from ami.users.roles import Role
from ami.users.tests.factories import client_of, make_user

pytestmark = [pytest.mark.integration, pytest.mark.django_db]
SERVICES = "/api/v2/ml/processing_services/"
STATUS = [
    "timestamp",
    "request_successful",
    "pipeline_configs",
    "error",
    "server_live",
    "pipelines_online",
    "endpoint_url",
    "latency",
]


@pytest.fixture
def there(settings: Settings) -> Iterator[Service]:
    """A push service on this machine with two pipelines, mounted below a path."""
    settings.OUTGOING_ALLOWED_NETWORKS = ["127.0.0.0/8"]
    with http_service() as there:
        info = {"name": "ML", "pipelines": [announcement("constant"), announcement("random")]}
        there.replies["/base/info"] = (200, {}, orjson.dumps(info))
        there.replies["/base/readyz"] = (200, {}, b'{"status":["constant","random"]}')
        yield there


@pytest.fixture
def service(people: People, there: Service) -> ProcessingService:
    return make_service(people.project, endpoint_url=f"{there.url}/base")


def post(people: People, service: ProcessingService, action: str, who: str = "manager") -> Any:
    return people.client(who).post(f"{SERVICES}{service.pk}/{action}/?project_id={people.project.pk}")


def moved(service: ProcessingService, url: str) -> ProcessingService:
    service.endpoint_url = url
    service.save()
    return service


@pytest.mark.parametrize(
    ("endpoint", "address"),
    [
        ("http://svc:2000", "http://svc:2000/info"),
        ("http://svc:2000/", "http://svc:2000/info"),
        ("https://svc/moths", "https://svc/moths/info"),
        ("https://svc/moths/v1/", "https://svc/moths/v1/info"),
        ("https://svc/moths?key=1#top", "https://svc/moths/info?key=1"),
    ],
)
def test_the_path_of_an_address_is_kept(endpoint: str, address: str) -> None:
    assert push.address_of(endpoint, "info") == address


class TestRegistration:
    """POST …/register_pipelines/"""

    def test_what_the_service_offers_is_registered_in_the_project(
        self, people: People, service: ProcessingService
    ) -> None:
        response = post(people, service, "register_pipelines")
        assert response.status_code == 200
        answer = response.json()
        assert list(answer)[:5] == ["timestamp", "success", "error", "pipelines", "pipelines_created"]
        assert (answer["success"], answer["error"]) == (True, None)
        assert answer["pipelines_created"] == ["constant", "random"]
        assert [pipeline["slug"] for pipeline in answer["pipelines"]] == ["constant", "random"]
        assert len(answer["algorithms_created"]) == 2
        assert answer["processing_service_id"] == service.pk
        assert set(service.pipelines.values_list("slug", flat=True)) == {"constant", "random"}
        assert ProjectPipelineConfig.objects.filter(project=people.project, enabled=True).count() == 2
        service.refresh_from_db()
        assert service.last_seen_live is True
        assert ProcessingService.objects.count() == 1

    def test_repeating_it_changes_nothing(self, people: People, service: ProcessingService) -> None:
        post(people, service, "register_pipelines")
        again = post(people, service, "register_pipelines").json()
        assert (again["pipelines_created"], again["pipelines_updated"], again["algorithms_created"]) == (
            [],
            [],
            [],
        )
        assert (Pipeline.objects.count(), Algorithm.objects.count()) == (2, 2)

    def test_it_reaches_the_named_project_only(self, people: People, service: ProcessingService) -> None:
        service.projects.add(other := make_project())
        post(people, service, "register_pipelines")
        assert not ProjectPipelineConfig.objects.filter(project=other).exists()

    def test_a_pull_service_has_nobody_to_ask(self, people: People) -> None:
        response = post(people, make_service(people.project), "register_pipelines")
        assert (response.status_code, response.json()["code"]) == (400, "pull_service")
        assert response.json()["detail"].endswith(".")

    @pytest.mark.parametrize(
        ("status", "body", "code"),
        [
            (404, b"{}", "bad_status"),
            (503, b"{}", "bad_status"),
            (307, b"", "bad_status"),
            (200, b"<html>", "answer_not_understood"),
            (200, b"[]", "answer_not_understood"),
            (200, b'{"pipelines":[]}', "answer_not_understood"),
            (200, b'{"name":"S","pipelines":[{"slug":"a"}]}', "answer_not_understood"),
            (200, b'{"name":"S","pipelines":{"a":1}}', "answer_not_understood"),
            (200, b'{"name":"' + b"x" * 300 + b'"}', "answer_not_understood"),
        ],
    )
    def test_a_strange_answer_is_a_502_with_a_sentence(
        self, people: People, service: ProcessingService, there: Service, status: int, body: bytes, code: str
    ) -> None:
        there.replies["/base/info"] = (status, {"Location": "http://169.254.169.254/"}, body)
        response = post(people, service, "register_pipelines")
        assert (response.status_code, response.json()["code"]) == (502, code)
        assert response.json()["detail"].endswith(".")
        assert not Pipeline.objects.exists()

    def test_pipelines_that_cannot_be_used_are_refused_with_a_sentence(
        self, people: People, service: ProcessingService, there: Service
    ) -> None:
        bad = announcement(algorithms=[classifier(category_map=None)])
        there.replies["/base/info"] = (200, {}, orjson.dumps({"name": "S", "pipelines": [bad]}))
        response = post(people, service, "register_pipelines")
        assert (response.status_code, response.json()["code"]) == (400, "pipeline_not_configured")
        assert not Pipeline.objects.exists()

    def test_a_service_that_is_gone_is_a_502(self, people: People, service: ProcessingService) -> None:
        with listener() as ear:
            port = ear.port
        response = post(people, moved(service, f"http://127.0.0.1:{port}/"), "register_pipelines")
        assert (response.status_code, response.json()["code"]) == (502, "service_unreachable")

    def test_a_service_that_says_nothing_is_a_504(
        self, people: People, service: ProcessingService, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(push, "_INFO", Limits(total=0.3))
        with rude_server(says_nothing) as (url, _):
            started = time.monotonic()
            response = post(people, moved(service, url), "register_pipelines")
        assert (response.status_code, response.json()["code"]) == (504, "service_timed_out")
        assert time.monotonic() - started < 5

    def test_an_answer_without_end_is_cut(
        self, people: People, service: ProcessingService, there: Service, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(push, "_INFO", Limits(max_bytes=100))
        response = post(people, service, "register_pipelines")
        assert (response.status_code, response.json()["code"]) == (502, "answer_too_large")

    def test_an_address_that_leads_inside_is_refused(
        self, people: People, service: ProcessingService, settings: Settings
    ) -> None:
        settings.OUTGOING_ALLOWED_NETWORKS = []
        with listener() as ear:
            response = post(people, moved(service, f"http://localhost:{ear.port}/"), "register_pipelines")
            assert not ear.saw_something()
        assert (response.status_code, response.json()["code"]) == (400, "address_refused")


class TestCheck:
    """POST …/check/ and GET …/status/"""

    def test_it_asks_now_and_keeps_what_it_saw(self, people: People, service: ProcessingService) -> None:
        before = clock.now()
        state = post(people, service, "check").json()
        assert list(state) == STATUS
        assert (state["request_successful"], state["server_live"], state["error"]) == (True, True, None)
        assert state["pipelines_online"] == ["constant", "random"]
        assert state["endpoint_url"] == service.endpoint_url
        assert 0 < state["latency"] < 8
        service.refresh_from_db()
        assert service.last_seen is not None
        assert service.last_seen >= before
        assert (service.last_seen_live, service.last_seen_latency) == (True, state["latency"])

    @pytest.mark.parametrize(("status", "body"), [(503, b'{"status":[]}'), (200, b'{"status":"all"}')])
    def test_a_service_that_is_not_ready_is_not_live(
        self, people: People, service: ProcessingService, there: Service, status: int, body: bytes
    ) -> None:
        seen = clock.now() - timedelta(hours=1)
        ProcessingService.objects.update(last_seen=seen, last_seen_live=True, last_seen_latency=0.5)
        there.replies["/base/readyz"] = (status, {}, body)
        response = post(people, service, "check")
        assert response.status_code == 200
        state = response.json()
        assert (state["request_successful"], state["server_live"]) == (False, False)
        assert state["error"].endswith(".")
        service.refresh_from_db()
        assert (service.last_seen_live, service.last_seen) == (False, seen)

    def test_of_a_pull_service_it_says_what_is_known(self, people: People) -> None:
        pulls = make_service(people.project, last_seen=clock.now(), last_seen_live=True)
        state = post(people, pulls, "check").json()
        assert (state["server_live"], state["endpoint_url"]) == (True, None)

    def test_status_asks_nobody(self, people: People, service: ProcessingService, there: Service) -> None:
        service.pipelines.add(make_pipeline(people.project, slug="constant", name="Constant"))
        path = f"{SERVICES}{service.pk}/status/?project_id={people.project.pk}"
        assert people.client("anonymous").get(path).json()["server_live"] is None
        assert there.asked == []
        post(people, service, "check")
        state = people.client("anonymous").get(path).json()
        assert (state["server_live"], state["pipelines_online"]) == (True, ["constant"])
        assert len(there.asked) == 1


class TestAll:
    """All push services are asked, side by side."""

    def test_each_is_noted_as_it_answers_and_pull_services_are_not_asked(
        self, people: People, service: ProcessingService
    ) -> None:
        with listener() as closes:
            address = f"http://127.0.0.1:{closes.port}"
        gone = make_service(people.project, endpoint_url=address)
        pulls = make_service(people.project, last_seen_live=True)
        assert services.check_push_services() == 1
        for one, live in ((service, True), (gone, False), (pulls, True)):
            one.refresh_from_db()
            assert one.last_seen_live is live
        assert service.is_online
        assert service.last_seen_latency is not None

    def test_one_that_is_silent_keeps_no_other_waiting(
        self, people: People, service: ProcessingService, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(services, "QUICK_SECONDS", 0.5)
        with listener() as silent:
            for _ in range(4):
                make_service(people.project, endpoint_url=f"http://127.0.0.1:{silent.port}")
            began = time.monotonic()
            assert services.check_push_services() == 1
        assert time.monotonic() - began < 1.9, "four silent ones, one after the other, would take two seconds"


@pytest.mark.parametrize("action", ["register_pipelines", "check"])
class TestWho:
    """Who makes the server call a service."""

    @pytest.mark.parametrize(
        ("who", "status"),
        [
            ("anonymous", 401),
            ("outsider", 403),
            ("member", 403),
            ("data_manager", 200),
            ("manager", 200),
            ("superuser", 200),
        ],
    )
    def test_who_may_register_pipelines_and_staff(
        self, people: People, service: ProcessingService, there: Service, action: str, who: str, status: int
    ) -> None:
        assert post(people, service, action, who).status_code == status
        assert len(there.asked) == (status == 200)

    def test_the_staff_may(self, people: People, service: ProcessingService, action: str) -> None:
        staff = client_of(make_user(is_staff=True))
        path = f"{SERVICES}{service.pk}/{action}/?project_id={people.project.pk}"
        assert staff.post(path).status_code == 200

    def test_a_service_of_another_project_is_not_there(
        self, people: People, service: ProcessingService, there: Service, action: str
    ) -> None:
        mine: Project = make_project()
        stranger = make_user()
        add_member(mine, stranger, Role.PROJECT_MANAGER)
        client = client_of(stranger)
        for project, status in [(mine, 404), (people.project, 403), (people.draft, 404)]:
            path = f"{SERVICES}{service.pk}/{action}/?project_id={project.pk}"
            assert client.post(path).status_code == status
        assert client.post(f"{SERVICES}{service.pk}/{action}/").status_code == 400
        assert there.asked == []

    def test_looking_is_not_asking(
        self, people: People, service: ProcessingService, there: Service, action: str
    ) -> None:
        path = f"{SERVICES}{service.pk}/{action}/?project_id={people.project.pk}"
        assert people.client("manager").get(path).status_code == 405
        assert there.asked == []

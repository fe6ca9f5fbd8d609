"""Addresses that would make the server call what only it can reach: refused, and nobody is called."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from pytest_django.fixtures import Settings

from ami.base.tests.servers import Listener, Service, http_service, listener
from ami.base.tests.test_outgoing import Resolver
from ami.main.tests.people import make_people
from ami.ml.tests.factories import make_service
from ami.tests.hostile.cases import Call, untouched
from ami.tests.hostile.state import State, state

pytestmark = [pytest.mark.hostile, pytest.mark.integration]

API = "/api/v2/"
SERVICES = f"{API}ml/processing_services/"


@pytest.fixture(scope="module")
def ear() -> Iterator[Listener]:
    """Hears whoever calls this machine."""
    with listener() as ear:
        yield ear


class Lookout:
    """A manager who makes services, and the whole database."""

    def __init__(self) -> None:
        """A project with a manager."""
        people = make_people()
        self.project = people.project
        self.manager = people.client("manager")

    def state(self) -> State:
        """As it is now."""
        return state()


@pytest.fixture
def lookout(db: None) -> Lookout:
    """Whose service is at a strange address."""
    return Lookout()


URLS = {
    "loopback": "http://127.0.0.1:{port}/",
    "loopback of IPv6": "http://[::1]:{port}/",
    "loopback in one number": "http://2130706433:{port}/",
    "loopback in octal": "http://0177.0.0.1:{port}/",
    "IPv4 inside IPv6": "http://[::ffff:127.0.0.1]:{port}/",
    "metadata of a cloud": "http://169.254.169.254/latest/meta-data/",
    "private network": "http://10.0.0.1/",
    "address as a password": "http://127.0.0.1:{port}@example.org/",
    "file": "file:///etc/passwd",
    "gopher": "gopher://example.org:{port}/_GET",
}


@pytest.mark.parametrize("name", URLS)
def test_a_service_at_an_inner_address_is_not_made(lookout: Lookout, ear: Listener, name: str) -> None:
    body = {"name": "Inner", "endpoint_url": URLS[name].format(port=ear.port)}
    call = Call(lookout.manager, f"{SERVICES}?project_id={lookout.project.pk}", body)
    with untouched(lookout):
        answer = call.send()
    assert (answer.status_code, list(answer.json())) == (400, ["endpoint_url"])
    assert not ear.saw_something()


def asked(lookout: Lookout, url: str, action: str = "register_pipelines") -> Any:
    """What the manager hears of a service at this address, which came there by some other way."""
    service = make_service(lookout.project, endpoint_url=url)
    call = Call(lookout.manager, f"{SERVICES}{service.pk}/{action}/?project_id={lookout.project.pk}")
    with untouched(lookout):
        return call.send()


@pytest.mark.parametrize("host", ["localhost.", "inner.example.org"])
def test_an_inner_address_behind_a_name_is_not_called(
    lookout: Lookout, ear: Listener, monkeypatch: pytest.MonkeyPatch, host: str
) -> None:
    Resolver(monkeypatch, localhost=[["::1", "127.0.0.1"]], inner=[["10.0.0.1", "127.0.0.1"]])
    answer = asked(lookout, f"http://{host}:{ear.port}/")
    assert (answer.status_code, answer.json()["code"]) == (400, "address_refused")
    assert "10.0.0.1" not in answer.json()["detail"]
    assert not ear.saw_something()


def test_a_look_at_an_inner_address_says_no_more_than_that(lookout: Lookout, ear: Listener) -> None:
    answer = asked(lookout, f"http://127.0.0.1:{ear.port}/", "check")
    assert (answer.status_code, answer.json()["server_live"]) == (200, False)
    assert "not a public address" in answer.json()["error"]
    assert not ear.saw_something()


@pytest.fixture
def allowed(settings: Settings) -> Iterator[Service]:
    """A service on this machine that may be called."""
    settings.OUTGOING_ALLOWED_NETWORKS = ["127.0.0.0/8"]
    with http_service() as service:
        yield service


@pytest.mark.parametrize("status", [302, 308])
def test_a_service_that_sends_us_inwards_is_not_followed(
    lookout: Lookout, ear: Listener, allowed: Service, status: int
) -> None:
    allowed.replies["/info"] = (status, {"Location": f"http://127.0.0.1:{ear.port}/secret"}, b"")
    answer = asked(lookout, allowed.url)
    assert (answer.status_code, answer.json()["code"]) == (502, "bad_status")
    assert not ear.saw_something()


@pytest.mark.parametrize("url", ["file:///etc", "gopher://127.0.0.1/"])
def test_a_capture_is_on_a_web_server_or_not_made(lookout: Lookout, url: str) -> None:
    body = {"project": lookout.project.pk, "path": "passwd", "public_base_url": url}
    call = Call(lookout.manager, f"{API}captures/", body)
    with untouched(lookout):
        answer = call.send()
    assert (answer.status_code, list(answer.json())) == (400, ["public_base_url"])

"""Liveness and readiness."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator

import pytest
from django.test import Client
from pytest_django import DjangoAssertNumQueries
from pytest_django.fixtures import Settings

from config import health

PARTS = ["database", "migrations", "redis", "queue", "broker"]


@pytest.fixture(autouse=True)
def nothing_known_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    """Answers of other tests are not shared with this one."""
    monkeypatch.setattr(health, "_recent", health._Recent())


@pytest.fixture
def silent_server() -> Iterator[str]:
    """A server that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"127.0.0.1:{server.getsockname()[1]}"


def test_liveness_asks_nobody(client: Client, django_assert_num_queries: DjangoAssertNumQueries) -> None:
    response = client.get("/livez")
    assert (response.status_code, response.json()) == (200, {"status": "ok"})
    assert "no-cache" in response["Cache-Control"]


def test_a_probe_needs_no_known_host_and_no_tls(client: Client, settings: Settings) -> None:
    settings.ALLOWED_HOSTS, settings.SECURE_SSL_REDIRECT = ["ami.example.org"], True
    assert client.get("/livez", headers={"host": "10.0.0.7"}).status_code == 200


@pytest.mark.integration
@pytest.mark.django_db
def test_readiness_is_200_when_every_part_answers(client: Client) -> None:
    deadline = time.monotonic() + 20  # the first look at the migrations may take more than its second
    response = client.get("/readyz")
    while response.status_code != 200 and time.monotonic() < deadline:
        response = client.get("/readyz")
    assert response.json() == {"status": "ok", "checks": dict.fromkeys(PARTS, "ok")}
    assert list(response.json()["checks"]) == PARTS


@pytest.mark.integration
@pytest.mark.django_db
def test_readiness_says_which_part_is_silent_and_waits_a_second_for_all(
    client: Client, settings: Settings, silent_server: str
) -> None:
    settings.REDIS_URL = f"redis://:hunter2@{silent_server}/0"
    began = time.monotonic()
    response = client.get("/readyz")
    assert time.monotonic() - began < health.DEADLINE_SECONDS + 1
    assert response.status_code == 503
    answer = response.json()
    assert answer["status"] == "unavailable"
    assert answer["checks"]["redis"] != "ok"
    assert "hunter2" not in response.content.decode()
    assert silent_server not in response.content.decode()


@pytest.mark.integration
@pytest.mark.django_db
@pytest.mark.parametrize("part", ["database", "queue", "broker", "migrations"])
def test_a_failing_part_is_named_without_its_secrets(
    client: Client, monkeypatch: pytest.MonkeyPatch, part: str
) -> None:
    def fail() -> None:
        raise ConnectionError("password=hunter2")

    monkeypatch.setitem(health.CHECKS, part, fail)
    response = client.get("/readyz")
    assert response.status_code == 503
    assert response.json()["checks"][part] == "failed (ConnectionError)"
    assert "hunter2" not in response.content.decode()


@pytest.mark.integration
@pytest.mark.django_db
def test_asking_often_does_not_ask_the_servers_often(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    monkeypatch.setattr(health, "CHECKS", {"database": lambda: asked.append(1)})
    for _ in range(5):
        assert client.get("/readyz").status_code == 200
    assert len(asked) == 1

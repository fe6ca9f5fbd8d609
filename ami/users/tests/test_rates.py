"""Too many calls are answered with 429 and when to come back; each caller and route has its own bucket."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import time_machine
from pytest_django.fixtures import Settings
from rest_framework.test import APIClient

from ami.taskqueue.redis_client import shared_client
from ami.users import rates
from ami.users.tests.factories import client_of, make_user

pytestmark = [pytest.mark.integration, pytest.mark.django_db]

ROLES, ME, PROJECTS = "/api/v2/users/roles/", "/api/v2/users/me/", "/api/v2/projects/"


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[time_machine.Traveller]:
    """A clock that stands at the begin of a window, and a Redis that is asked."""
    monkeypatch.setattr(rates, "_away_until", 0.0)
    with time_machine.travel(1_800_000_000, tick=False) as traveller:
        yield traveller
        for key in shared_client().scan_iter(match="rate:*"):
            shared_client().delete(key)


def statuses(client: APIClient, address: str, count: int) -> list[int]:
    """The answers to so many calls."""
    return [client.get(address).status_code for _ in range(count)]


def test_the_call_over_the_limit_hears_when_to_come_back(
    settings: Settings, clock: time_machine.Traveller
) -> None:
    settings.RATE_LIMIT_API = 3
    client = client_of(make_user())
    assert statuses(client, ME, 3) == [200, 200, 200]
    answer = client.get(ME)
    assert answer.status_code == 429
    assert 10 <= int(answer["Retry-After"]) <= 11
    assert "throttled" in answer.json()["detail"]
    clock.shift(int(answer["Retry-After"]))
    assert statuses(client, ME, 1) == [200]


def test_the_limit_holds_at_ten_times_the_load(settings: Settings) -> None:
    settings.RATE_LIMIT_API = 7
    assert statuses(client_of(make_user()), ME, 70).count(200) == 7


def test_another_caller_and_another_route_have_buckets_of_their_own(settings: Settings) -> None:
    settings.RATE_LIMIT_API = 1
    one, two = client_of(make_user()), client_of(make_user())
    assert statuses(one, ME, 2) == [200, 429]
    assert statuses(two, ME, 1) == [200]
    assert statuses(one, PROJECTS, 1) == [200]


def test_callers_without_a_token_are_told_apart_by_their_address(settings: Settings) -> None:
    settings.RATE_LIMIT_ANONYMOUS = 1
    here, there = APIClient(REMOTE_ADDR="10.0.0.1"), APIClient(REMOTE_ADDR="10.0.0.2")
    assert statuses(here, ROLES, 2) == [200, 429]
    assert statuses(there, ROLES, 1) == [200]


def test_results_are_not_thrown_away_because_a_worker_asked_too_often(settings: Settings) -> None:
    settings.RATE_LIMIT_WORKER = 1
    client = client_of(make_user(is_superuser=True))
    polls = [client.get("/api/v2/jobs/?ids_only=1").status_code for _ in range(2)]
    assert polls == [200, 429]
    posts = [client.post("/api/v2/jobs/1/result/", {"results": []}).status_code for _ in range(3)]
    assert posts == [404, 404, 404]


def test_without_redis_nobody_is_limited(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.RATE_LIMIT_API = 1
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    assert statuses(client_of(make_user()), ME, 3) == [200, 200, 200]

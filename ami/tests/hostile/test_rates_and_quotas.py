"""Calls without end, and workers that want everything: told to wait, while others go on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from pytest_django.fixtures import Settings

from ami.jobs.tests.api.lab import JOBS
from ami.taskqueue.redis_client import shared_client
from ami.tests.hostile.cases import Call, untouched
from ami.tests.hostile.victim import RESERVE, Victim
from ami.users import rates

pytestmark = [pytest.mark.hostile, pytest.mark.integration]


@pytest.fixture(autouse=True)
def empty_buckets(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No call before this test counts, and none of it counts afterwards."""
    monkeypatch.setattr(rates, "_away_until", 0.0)
    _empty()
    yield
    _empty()


def _empty() -> None:
    for key in shared_client().scan_iter(match="rate:*"):
        shared_client().delete(key)


FLOODS: dict[str, Callable[[Victim], Call]] = {
    "RATE_LIMIT_WORKER": lambda it: Call(it.stranger, RESERVE, {"batch_size": 1}),
    "RATE_LIMIT_RESULTS": lambda it: it.result(it.success(), client=it.colleague),
    "RATE_LIMIT_ANONYMOUS": lambda it: Call(it.nobody, JOBS, method="GET"),
}


@pytest.mark.parametrize("limit", FLOODS)
def test_the_call_over_a_limit_does_nothing_but_hear_when_to_come_back(
    victim: Victim, settings: Settings, limit: str
) -> None:
    call = FLOODS[limit](victim)
    before = getattr(settings, limit)
    setattr(settings, limit, 0)
    with untouched(victim):
        answer = call.send()
    setattr(settings, limit, before)
    assert answer.status_code == 429
    assert 1 <= int(answer["Retry-After"]) <= 11
    assert "throttled" in answer.json()["detail"]
    assert victim.goes_on()


@pytest.mark.parametrize("limit", ["WORKER_MAX_LEASES", "HOLDER_MAX_LEASES"])
def test_who_holds_as_much_as_it_may_gets_nothing_more(
    victim: Victim, settings: Settings, limit: str
) -> None:
    setattr(settings, limit, 2)
    with untouched(victim):
        answer: Any = Call(victim.honest, RESERVE, {"batch_size": 500}).send()
    assert (answer.status_code, answer.json()["tasks"]) == (200, [])
    assert "as many images as it may" in answer.json()["reason"]

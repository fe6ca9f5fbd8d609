"""The breaker refuses at once while open, lets one probe through, and closes on success."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from ami.taskqueue.circuit_breaker import CircuitBreaker
from ami.taskqueue.errors import QueueUnavailable


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def breaker(clock: Callable[[], float]) -> CircuitBreaker:
    return CircuitBreaker(open_seconds=1.0, clock=clock)


def test_a_closed_breaker_lets_everything_through(breaker: CircuitBreaker) -> None:
    assert [breaker.admit() for _ in range(3)] == [False] * 3
    assert not breaker.is_open


def test_an_open_breaker_refuses_and_says_when_to_come_back(breaker: CircuitBreaker, clock: Clock) -> None:
    breaker.fail()
    clock.now += 0.25
    with pytest.raises(QueueUnavailable) as refusal:
        breaker.admit()
    assert refusal.value.retry_after == pytest.approx(0.75)
    assert breaker.is_open


def test_after_a_while_one_single_caller_may_probe(breaker: CircuitBreaker, clock: Clock) -> None:
    breaker.fail()
    clock.now += 1.0
    assert not breaker.is_open
    assert breaker.admit() is True
    with pytest.raises(QueueUnavailable):
        breaker.admit()


def test_a_successful_probe_closes_it_for_all(breaker: CircuitBreaker, clock: Clock) -> None:
    breaker.fail()
    clock.now += 1.0
    breaker.admit()
    breaker.succeed()
    assert breaker.admit() is False


def test_a_failed_probe_opens_it_anew(breaker: CircuitBreaker, clock: Clock) -> None:
    breaker.fail()
    clock.now += 1.0
    breaker.admit()
    breaker.fail()
    clock.now += 0.9
    assert breaker.is_open
    clock.now += 0.1
    assert breaker.admit() is True


def test_a_probe_that_never_reports_does_not_block_for_ever(breaker: CircuitBreaker, clock: Clock) -> None:
    breaker.fail()
    clock.now += 1.0
    breaker.admit()
    clock.now += 10.0
    assert breaker.admit() is True

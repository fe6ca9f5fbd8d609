"""Only a lost connection is retried, with growing pauses, and never past the caller's time."""

from __future__ import annotations

import asyncio

import pytest

from ami.taskqueue.errors import ConnectionLost, QueueUnavailable
from ami.taskqueue.retries import retry_on_connection_error


class Flaky:
    """Fails as told, then answers 42; notes when it was called."""

    def __init__(self, *failures: Exception) -> None:
        self.failures = list(failures)
        self.calls: list[float] = []

    async def __call__(self) -> int:
        self.calls.append(asyncio.get_running_loop().time())
        if self.failures:
            raise self.failures.pop(0)
        return 42


def _retry(operation: Flaky, seconds: float) -> int:
    async def scenario() -> int:
        until = asyncio.get_running_loop().time() + seconds
        return await retry_on_connection_error(operation, until=until)

    return asyncio.run(scenario())


def test_a_lost_connection_is_retried_until_it_is_back() -> None:
    operation = Flaky(ConnectionLost(), ConnectionLost(), ConnectionLost())
    assert _retry(operation, 5.0) == 42
    assert len(operation.calls) == 4


def test_pauses_grow() -> None:
    operation = Flaky(*(ConnectionLost() for _ in range(4)))
    _retry(operation, 5.0)
    first, second, third, fourth, fifth = operation.calls
    assert second - first >= 0.01
    assert third - second >= 0.02
    assert fourth - third >= 0.04
    assert fifth - fourth >= 0.08


def test_no_try_begins_after_the_end() -> None:
    operation = Flaky(*(ConnectionLost() for _ in range(100)))
    with pytest.raises(ConnectionLost):
        _retry(operation, 0.2)
    assert operation.calls[-1] - operation.calls[0] < 0.2


@pytest.mark.parametrize("failure", [QueueUnavailable("frozen"), ValueError("ours")])
def test_anything_else_is_not_retried(failure: Exception) -> None:
    operation = Flaky(failure)
    with pytest.raises(type(failure)):
        _retry(operation, 5.0)
    assert len(operation.calls) == 1

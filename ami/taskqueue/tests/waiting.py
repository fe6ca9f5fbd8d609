"""Waiting for a condition, with a deadline."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

_POLL_SECONDS = 0.005


def wait_for(condition: Callable[[], T], *, seconds: float = 5.0) -> T:
    """Return the first true answer of `condition()`; fails the test when there is none in time."""
    deadline = time.monotonic() + seconds
    while not (answer := condition()):
        assert time.monotonic() < deadline, f"not within {seconds} s"
        time.sleep(_POLL_SECONDS)
    return answer


def stopwatch(action: Callable[[], object]) -> float:
    """Seconds that `action()` takes; its exception, if any, is passed on."""
    begun = time.perf_counter()
    action()
    return time.perf_counter() - begun

"""Waiting for a condition, with a deadline."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import psutil

from ami.embedded.server import Server
from ami.taskqueue import QueueUnavailable

T = TypeVar("T")

_POLL_SECONDS = 0.005


def wait_for(condition: Callable[[], T], *, seconds: float = 5.0) -> T:
    """Return the first true answer of `condition()`; fails the test when there is none in time."""
    deadline = time.monotonic() + seconds
    while not (answer := condition()):
        assert time.monotonic() < deadline, f"not within {seconds} s"
        time.sleep(_POLL_SECONDS)
    return answer


def eventually(call: Callable[[], T], *, seconds: float = 5.0) -> T:
    """The answer of `call()` as soon as the queue is available."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            return call()
        except QueueUnavailable:
            assert time.monotonic() < deadline, f"not available within {seconds} s"
            time.sleep(_POLL_SECONDS)


def freeze(server: Server) -> None:
    """Pause a server and wait until every thread of it stands still."""
    server.pause()
    tasks = Path(f"/proc/{server.pid}/task")
    if not tasks.exists():  # not Linux: only the process as a whole can be asked
        wait_for(lambda: psutil.Process(server.pid).status() == psutil.STATUS_STOPPED)
        return
    wait_for(lambda: all(") T " in (task / "stat").read_text() for task in tasks.iterdir()))


def stopwatch(action: Callable[[], object]) -> float:
    """Seconds that `action()` takes; its exception, if any, is passed on."""
    begun = time.perf_counter()
    action()
    return time.perf_counter() - begun

"""Calls that have nothing to do with the fault, all the while: how long they take, and whether they fail."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import requests

from ami.chaos.client import Caller

PAUSE_SECONDS = 0.05


@dataclass(slots=True)
class Probed:
    """What was seen."""

    seconds: list[float] = field(default_factory=list)
    failed: int = 0
    """Answers that were no success, and calls without an answer."""

    def p99(self) -> float:
        """Seconds that one of a hundred calls took, or longer."""
        ranked = sorted(self.seconds)
        return ranked[min(len(ranked) - 1, len(ranked) * 99 // 100)] if ranked else 0.0


@contextmanager
def probing(caller: Caller, path: str) -> Iterator[Probed]:
    """GET a path about every 50 ms until the block ends."""
    probed = Probed()
    stop = threading.Event()

    def work() -> None:
        while not stop.wait(PAUSE_SECONDS):
            began = time.perf_counter()
            try:
                good = caller.call("GET", path, timeout=20).ok
            except requests.RequestException:
                good = False
            probed.seconds.append(time.perf_counter() - began)
            probed.failed += not good

    thread = threading.Thread(target=work, name="prober", daemon=True)
    thread.start()
    try:
        yield probed
    finally:
        stop.set()
        thread.join()

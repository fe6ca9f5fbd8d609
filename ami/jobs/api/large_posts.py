"""Few large result posts at once: each holds its body in memory until its results are stored.

The gate is of this process. Small posts never see it.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache

from django.conf import settings

from ami.base.errors import TemporarilyUnavailable

WAIT_SECONDS = 5.0
"""How long one post waits for a place. A post takes about two seconds; who posts may not try again at all."""

MOST_WAITING = 1
"""Whoever waits keeps a thread of the web server from everybody else."""


class LargePostsFull(TemporarilyUnavailable):
    """Other large posts are being taken right now; post again shortly, or post fewer results at once."""

    code = "busy"


@dataclass(frozen=True)
class Gate:
    """Lets so many in at once, and lets `MOST_WAITING` more wait."""

    places: threading.BoundedSemaphore
    queue: threading.BoundedSemaphore = field(
        default_factory=lambda: threading.BoundedSemaphore(MOST_WAITING)
    )

    @contextmanager
    def place(self, wait: float = WAIT_SECONDS) -> Iterator[None]:
        """Hold a place. Raises LargePostsFull when none is free within `wait` seconds."""
        self._enter(wait)
        try:
            yield
        finally:
            self.places.release()

    def _enter(self, wait: float) -> None:
        if self.places.acquire(blocking=False):
            return
        if not self.queue.acquire(blocking=False):
            raise LargePostsFull(retry_after=WAIT_SECONDS)
        try:
            if not self.places.acquire(timeout=wait):
                raise LargePostsFull(retry_after=WAIT_SECONDS)
        finally:
            self.queue.release()


def gate() -> Gate:
    """The gate of this process."""
    return _gate_of(settings.LARGE_POSTS_AT_ONCE)


@lru_cache
def _gate_of(places: int) -> Gate:
    return Gate(threading.BoundedSemaphore(places))

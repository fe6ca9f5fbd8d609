"""The circuit breaker: while NATS is known to be down, calls fail at once instead of waiting again.

Closed: calls go through. A failure opens it: calls are refused without trying. After `open_seconds` one
single caller may probe; success closes it, failure opens it anew. Any sign of life from the connection
closes it at once.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from ami.taskqueue.errors import QueueUnavailable

_LOST_PROBE_SECONDS = 5.0  # after that a probe that never reported no longer blocks the next one


class CircuitBreaker:
    """Shared by all threads of a process; every method takes microseconds."""

    def __init__(self, open_seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._open_seconds = open_seconds
        self._clock = clock
        self._lock = threading.Lock()
        self._next_probe: float | None = None  # None: closed; otherwise refused until then

    @property
    def is_open(self) -> bool:
        """Whether a call would be refused right now."""
        return self._wait() > 0

    @property
    def is_closed(self) -> bool:
        """Whether calls go through unconditionally."""
        return self._next_probe is None

    def admit(self) -> bool:
        """Let a call through; raises QueueUnavailable while open. True: it is the probe and must report."""
        with self._lock:
            wait = self._wait()
            if wait > 0:
                raise QueueUnavailable(retry_after=max(wait, 0.1))
            if self._next_probe is None:
                return False
            self._next_probe = self._clock() + _LOST_PROBE_SECONDS
            return True

    def succeed(self) -> None:
        """NATS answered: close."""
        self._next_probe = None

    def fail(self) -> None:
        """NATS did not answer: refuse calls for a while."""
        with self._lock:
            self._next_probe = self._clock() + self._open_seconds

    def _wait(self) -> float:
        next_probe = self._next_probe
        return 0.0 if next_probe is None else next_probe - self._clock()

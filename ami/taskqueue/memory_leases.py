"""The in-memory twin of `OpenLeases`, with a clock that a test turns; conformance as for `memory`."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from ami.taskqueue.errors import PendingStateUnavailable
from ami.taskqueue.leases import Lease

Ends = dict[tuple[int, int, int], float]
"""When each lease ends, by job, image and attempt."""


class MemoryOpenLeases:
    """`OpenLeases` without Redis, method by method. Set `available` to False for an outage."""

    def __init__(self, *, clock: Callable[[], float] = time.time) -> None:
        self.available = True
        self._clock = clock
        self._held: dict[str, Ends] = {}

    def counts(self, holders: Sequence[str]) -> dict[str, int]:
        if not holders:
            return {}
        self._check()
        now = self._clock()
        return {holder: sum(end >= now for end in self._ends(holder).values()) for holder in holders}

    def add(self, holders: Sequence[str], leases: Sequence[Lease], *, seconds: float) -> None:
        if leases:
            self._check()
        for holder in holders:
            ends = self._held.setdefault(holder, {})
            ends.update((_member(lease), self._clock() + seconds) for lease in leases)

    def remove(self, holders: Sequence[str], leases: Sequence[Lease]) -> None:
        if leases:
            self._check()
        for holder in holders:
            for lease in leases:
                self._ends(holder).pop(_member(lease), None)

    def flush(self) -> None:
        """As if the server had lost everything."""
        self._held.clear()

    def _ends(self, holder: str) -> Ends:
        return self._held.get(holder, {})

    def _check(self) -> None:
        if not self.available:
            raise PendingStateUnavailable


def _member(lease: Lease) -> tuple[int, int, int]:
    return lease.job_id, lease.image_id, lease.attempt

"""The in-memory twin of `OpenLeases`, with a clock that a test turns; conformance as for `memory`."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from ami.taskqueue.errors import PendingStateUnavailable
from ami.taskqueue.leases import Lease
from ami.taskqueue.open_leases import HeldOfJob, holder_of_job, members

Member = tuple[int, int, int]
Ends = dict[Member, float]
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
        for holder, theirs in members(holders, leases, _member).items():
            self._held.setdefault(holder, {}).update(dict.fromkeys(theirs, self._clock() + seconds))

    def remove(self, holders: Sequence[str], leases: Sequence[Lease]) -> None:
        if leases:
            self._check()
        for holder, theirs in members(holders, leases, _member).items():
            for member in theirs:
                self._ends(holder).pop(member, None)

    def of_jobs(self, job_ids: Sequence[int]) -> dict[int, HeldOfJob]:
        if not job_ids:
            return {}
        self._check()
        now = self._clock()
        held = {
            job_id: [e for e in self._ends(holder_of_job(job_id)).values() if e >= now] for job_id in job_ids
        }
        return {
            job_id: HeldOfJob(len(ends), min(ends) - now if ends else None) for job_id, ends in held.items()
        }

    def flush(self) -> None:
        """As if the server had lost everything."""
        self._held.clear()

    def _ends(self, holder: str) -> Ends:
        return self._held.get(holder, {})

    def _check(self) -> None:
        if not self.available:
            raise PendingStateUnavailable


def _member(lease: Lease) -> Member:
    return lease.job_id, lease.image_id, lease.attempt

"""`OpenLeases`: how many leases a holder has out, kept in Redis for quotas and for people.

A sorted set per holder, scored by the end of each lease, so that what was never answered drops out by
itself. It is an index of the ledger, not the truth: without Redis there is no quota, and work goes on.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence

import redis

from ami.taskqueue.leases import Lease
from ami.taskqueue.redis_client import redis_errors, shared_client

_KEPT_SECONDS = 60.0
"""How long a key outlives the last lease in it."""


class OpenLeases:
    """The open leases of some holders. Raises PendingStateUnavailable when Redis fails."""

    def __init__(self, client: redis.Redis | None = None) -> None:
        """`client`: without one, the process's own for REDIS_URL."""
        self._client = client or shared_client()

    def counts(self, holders: Sequence[str]) -> dict[str, int]:
        """How many leases each holder has out now."""
        if not holders:
            return {}
        now = time.time()
        with redis_errors(), self._client.pipeline(transaction=False) as pipe:
            for holder in holders:
                pipe.zcount(_key(holder), now, "+inf")
            return dict(zip(holders, map(int, pipe.execute()), strict=True))

    def add(self, holders: Sequence[str], leases: Sequence[Lease], *, seconds: float) -> None:
        """Leases were handed out, or extended, for `seconds` from now. Safe to run twice."""
        if not leases:
            return
        now = time.time()
        until: Mapping[str, float] = {_member(lease): now + seconds for lease in leases}
        with redis_errors(), self._client.pipeline(transaction=False) as pipe:
            for holder in holders:
                pipe.zremrangebyscore(_key(holder), "-inf", now)
                pipe.zadd(_key(holder), dict(until))
                pipe.expire(_key(holder), int(seconds + _KEPT_SECONDS))
            pipe.execute()

    def remove(self, holders: Sequence[str], leases: Sequence[Lease]) -> None:
        """Leases were answered or given back. Safe to run twice."""
        if not leases:
            return
        members = [_member(lease) for lease in leases]
        with redis_errors(), self._client.pipeline(transaction=False) as pipe:
            for holder in holders:
                pipe.zrem(_key(holder), *members)
            pipe.execute()


def _key(holder: str) -> str:
    return f"leases:{holder}"


def _member(lease: Lease) -> str:
    return f"{lease.job_id}:{lease.image_id}:{lease.attempt}"

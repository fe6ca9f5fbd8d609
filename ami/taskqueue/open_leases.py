"""`OpenLeases`: how many leases a holder has out, kept in Redis for quotas and for people.

A sorted set per holder and per job, scored by the end of each lease, so that what was never answered drops
out by itself. It is an index of the ledger, not the truth: without Redis there is no quota, and work goes on.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import redis

from ami.taskqueue.leases import Lease
from ami.taskqueue.redis_client import redis_errors, shared_client

MemberT = TypeVar("MemberT")
_KEPT_SECONDS = 60.0
"""How long a key outlives the last lease in it."""


@dataclass(frozen=True, slots=True)
class HeldOfJob:
    """What workers hold of a job: how many images, and seconds until the first of these leases ends."""

    images: int
    first_ends_in: float | None


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
        with redis_errors(), self._client.pipeline(transaction=False) as pipe:
            for holder, theirs in members(holders, leases, _member).items():
                pipe.zremrangebyscore(_key(holder), "-inf", now)
                pipe.zadd(_key(holder), dict.fromkeys(theirs, now + seconds))
                pipe.expire(_key(holder), int(seconds + _KEPT_SECONDS))
            pipe.execute()

    def remove(self, holders: Sequence[str], leases: Sequence[Lease]) -> None:
        """Leases were answered or given back. Safe to run twice."""
        if not leases:
            return
        with redis_errors(), self._client.pipeline(transaction=False) as pipe:
            for holder, theirs in members(holders, leases, _member).items():
                pipe.zrem(_key(holder), *theirs)
            pipe.execute()

    def of_jobs(self, job_ids: Sequence[int]) -> dict[int, HeldOfJob]:
        """What is out of each of these jobs, in one round trip."""
        if not job_ids:
            return {}
        now = time.time()
        with redis_errors(), self._client.pipeline(transaction=False) as pipe:
            for job_id in job_ids:
                key = _key(holder_of_job(job_id))
                pipe.zcount(key, now, "+inf")
                pipe.zrange(key, now, "+inf", byscore=True, offset=0, num=1, withscores=True)
            answers = pipe.execute()
        return {
            job_id: HeldOfJob(int(count), float(first[0][1]) - now if first else None)
            for job_id, count, first in zip(job_ids, answers[::2], answers[1::2], strict=True)
        }


def members(
    holders: Sequence[str], leases: Sequence[Lease], member: Callable[[Lease], MemberT]
) -> dict[str, list[MemberT]]:
    """Everybody in whose set these leases are: each holder has all of them, each job its own."""
    everything = [member(lease) for lease in leases]
    found = dict.fromkeys(holders, everything)
    for lease, one in zip(leases, everything, strict=True):
        found.setdefault(holder_of_job(lease.job_id), []).append(one)
    return found


def holder_of_job(job_id: int) -> str:
    """The name of the set in which all leases of a job are."""
    return f"job:{job_id}"


def _key(holder: str) -> str:
    return f"leases:{holder}"


def _member(lease: Lease) -> str:
    return f"{lease.job_id}:{lease.image_id}:{lease.attempt}"

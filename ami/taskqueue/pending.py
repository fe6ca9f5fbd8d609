"""`AsyncJobStateManager`: the Redis pending sets of a job, an index that tells cheaply what is still open.

Two sets of image ids (stages `process` and `results`), the set of failed ones, and the total. They are a
cache of the ledger: when the total is missing the state is missing and is rebuilt; when Redis is away work
goes on without. Every change is one MULTI, so no reader sees half of it, and repeating it changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from secrets import token_hex

import redis

from ami.taskqueue.names import STAGES, Stage, failed_key, parse_redis_key, pending_key, total_key
from ami.taskqueue.redis_client import redis_errors, shared_client

_RETENTION_SECONDS = 7 * 24 * 3600
_SETS_OUTLIVE_TOTAL = 3600  # seconds; an expiring state first shows as missing, never as "nothing open"
_STAGING_SECONDS = 600
_CHUNK = 10_000


@dataclass(frozen=True, slots=True)
class PendingUpdate:
    """What an update did, and the counts right after it."""

    remaining: int
    total: int
    processed: int  # total - remaining
    failed: int
    newly_removed: tuple[int, ...]  # the given ids that were open until this very call


@dataclass(frozen=True, slots=True)
class PendingSnapshot:
    """The counts of a job at one moment."""

    total: int
    process: int
    results: int
    failed: int


class AsyncJobStateManager:
    """The pending sets of one job. Raises PendingStateUnavailable when Redis fails, and for nothing else."""

    def __init__(self, job_id: int, client: redis.Redis | None = None) -> None:
        """`client`: without one, the process's own for REDIS_URL."""
        self.job_id = job_id
        self._client = client or shared_client()
        self._failed, self._total = failed_key(job_id), total_key(job_id)
        self._keys = [*(pending_key(job_id, stage) for stage in STAGES), self._failed, self._total]

    def initialize(self, image_ids: Iterable[int], *, total: int, failed: Iterable[int] = ()) -> None:
        """Start over with all these images open in both stages."""
        ids = list(image_ids)
        self.rebuild(pending_process=ids, pending_results=ids, failed=failed, total=total)

    def rebuild(
        self,
        *,
        pending_process: Iterable[int],
        pending_results: Iterable[int],
        failed: Iterable[int],
        total: int,
    ) -> None:
        """Replace the whole state. The new sets are filled aside, then put in place in one MULTI."""
        contents = zip(self._keys, (pending_process, pending_results, failed), strict=False)
        with redis_errors():
            staged = [(key, self._stage(key, ids)) for key, ids in contents]
            with self._client.pipeline(transaction=True) as multi:
                multi.unlink(*self._keys)
                for key, aside in staged:
                    if aside is not None:
                        multi.rename(aside, key)
                        multi.expire(key, _RETENTION_SECONDS + _SETS_OUTLIVE_TOTAL)
                multi.set(self._total, total, ex=_RETENTION_SECONDS)
                multi.execute()

    def update(
        self, stage: Stage, settled: Sequence[int], failed: Sequence[int] = ()
    ) -> PendingUpdate | None:
        """Take images out of one stage; failed ones that were open in it are noted as failed.

        None if the state is missing and has to be rebuilt.
        """
        return self._apply({stage: settled}, failed)

    def settle_batch(
        self, processed: Sequence[int], saved: Sequence[int], failed: Sequence[int]
    ) -> PendingUpdate | None:
        """Take `processed` out of the first stage, `saved` out of the second, `failed` out of both, at once.

        `remaining` counts the images still open in either; `newly_removed` are those that left the second.
        None if the state is missing and has to be rebuilt.
        """
        return self._apply({"results": saved, "process": [*processed, *failed]}, failed)

    def snapshot(self) -> PendingSnapshot | None:
        """All counts at one moment, or None if the state is missing."""
        with redis_errors(), self._client.pipeline(transaction=True) as multi:
            multi.get(self._total)
            for key in self._keys[:3]:
                multi.scard(key)
            total, process, results, failed = multi.execute()
        return None if total is None else PendingSnapshot(int(total), process, results, failed)

    def pending_ids(self, stage: Stage) -> set[int]:
        """The images open in a stage; read in pieces, so not at one moment."""
        with redis_errors():
            return set(map(int, self._client.sscan_iter(pending_key(self.job_id, stage), count=_CHUNK)))

    def exists(self) -> bool:
        """Whether the state is there."""
        with redis_errors():
            return bool(self._client.exists(self._total))

    def delete(self) -> None:
        """Forget the job. Safe to repeat."""
        with redis_errors():
            self._client.unlink(*self._keys)

    def _apply(self, settled: dict[Stage, Sequence[int]], failed: Sequence[int]) -> PendingUpdate | None:
        """Run one MULTI; what was open, and so what failed, is judged by the first stage of `settled`."""
        keys = {stage: pending_key(self.job_id, stage) for stage in settled}
        judged, ids = next(iter(settled.items()))
        leaving = list(dict.fromkeys([*ids, *failed]))
        with redis_errors(), self._client.pipeline(transaction=True) as multi:
            if leaving:
                multi.smismember(keys[judged], leaving)  # a list of 50 costs a third of 50 single SREMs
            for image_id in failed:
                multi.smove(keys[judged], self._failed, str(image_id))  # only if it was open: no foreign ids
            if failed:
                multi.expire(self._failed, _RETENTION_SECONDS + _SETS_OUTLIVE_TOTAL)
            for stage, settled_ids in settled.items():
                if settled_ids:
                    multi.srem(keys[stage], *settled_ids)
            multi.get(self._total)
            multi.scard(self._failed)
            for key in keys.values():
                multi.scard(key)
            answers = multi.execute()
        total, failed_count, *open_counts = answers[-2 - len(keys) :]
        if total is None:
            return None
        were_open = answers[0] if leaving else ()
        return PendingUpdate(
            remaining=max(open_counts),
            total=int(total),
            processed=int(total) - max(open_counts),
            failed=failed_count,
            newly_removed=tuple(image_id for image_id, was in zip(leaving, were_open, strict=True) if was),
        )

    def _stage(self, key: str, image_ids: Iterable[int]) -> str | None:
        """Fill a set aside, in pieces that block nobody; None if there is nothing to fill it with."""
        aside = f"{key}:staging:{token_hex(4)}"
        remaining, filled = iter(image_ids), False
        while chunk := list(islice(remaining, _CHUNK)):
            with self._client.pipeline(transaction=False) as pipeline:
                pipeline.sadd(aside, *chunk)
                pipeline.expire(aside, _STAGING_SECONDS)
                pipeline.execute()
            filled = True
        return aside if filled else None


def list_job_ids_with_state(client: redis.Redis | None = None) -> list[int]:
    """The jobs of which Redis holds anything, for finding what a job left behind."""
    with redis_errors():
        keys = (client or shared_client()).scan_iter(match="job:*", count=_CHUNK)
        found = {parse_redis_key(key.decode(errors="replace")) for key in keys}
    return sorted(job_id for job_id in found if job_id is not None)

"""zombie streams: what jobs that ended, or are gone, left behind in NATS and Redis is deleted.

A stream is only touched when it is old, when its age is known, and under the rule of clean-up: the job's row
is held, and the job is final still.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import timedelta

import structlog
from django.conf import settings

from ami.base import clock
from ami.jobs.health.report import Report
from ami.jobs.lifecycle.cleanup import clean_up, drop_queue_of_deleted
from ami.jobs.models import Job
from ami.jobs.states import FINAL
from ami.taskqueue import (
    PendingStateUnavailable,
    QueueError,
    StreamSnapshot,
    TaskQueueManager,
    list_job_ids_with_state,
)

logger = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _Owner:
    """The job that something belongs to."""

    job_id: int
    run: int
    status: str


def check_zombies(*, dry_run: bool = False) -> Report:
    """Delete old streams and pending sets that no job needs any more. Safe to run twice."""
    report = Report()
    _streams(report, dry_run)
    _pending_sets(report, dry_run)
    return report


def _streams(report: Report, dry_run: bool) -> None:
    try:
        streams = TaskQueueManager().list_streams()
    except QueueError as error:
        report.unfixable += 1
        logger.warning("health.streams_not_listed", error=error.message)
        return
    report.checked += len(streams)
    report.unfixable += sum(stream.created is None for stream in streams)
    old = _old(streams)
    zombies = _without_work([stream.job_id for stream in old])
    redelivered = _redelivered(zombies)
    for stream in old:
        if stream.job_id not in zombies:
            continue
        owner = zombies[stream.job_id]
        deleted = dry_run or _delete(stream.job_id, owner)
        report.fixed += deleted
        report.unfixable += not deleted
        logger.info(
            "health.zombie_stream",
            job_id=stream.job_id,
            status=owner.status if owner else "deleted",
            age_minutes=round(_age(stream).total_seconds() / 60),
            messages=stream.messages,
            redelivered=redelivered.get(stream.job_id),
            consumer_deleted=deleted and not dry_run and stream.consumer_count > 0,
            stream_deleted=deleted and not dry_run,
        )


def _old(streams: Sequence[StreamSnapshot]) -> list[StreamSnapshot]:
    limit = timedelta(minutes=settings.ZOMBIE_STREAMS_MAX_AGE_MINUTES)
    return [stream for stream in streams if stream.created is not None and _age(stream) >= limit]


def _age(stream: StreamSnapshot) -> timedelta:
    return clock.now() - stream.created if stream.created is not None else timedelta()


def _without_work(job_ids: Collection[int]) -> dict[int, _Owner | None]:
    """Of these jobs those that are final or gone (None)."""
    owners = {
        row[0]: _Owner(*row) for row in Job.objects.filter(pk__in=job_ids).values_list("pk", "run", "status")
    }
    return {
        job_id: owners.get(job_id)
        for job_id in job_ids
        if job_id not in owners or owners[job_id].status in FINAL
    }


def _redelivered(job_ids: Collection[int]) -> dict[int, int]:
    if not job_ids:
        return {}
    try:
        return TaskQueueManager().redelivery_counts(sorted(job_ids))
    except QueueError as error:
        logger.info("health.redeliveries_unknown", error=error.message)
        return {}


def _delete(job_id: int, owner: _Owner | None) -> bool:
    return drop_queue_of_deleted(job_id) if owner is None else clean_up(job_id, owner.run)


def _pending_sets(report: Report, dry_run: bool) -> None:
    """Keys of jobs that are gone, or ended so long ago that their clean-up is over."""
    try:
        kept = list_job_ids_with_state()
    except PendingStateUnavailable as error:
        report.unfixable += 1
        logger.warning("health.pending_sets_not_listed", error=error.message)
        return
    report.checked += len(kept)
    long_ago = clock.now() - timedelta(minutes=settings.ZOMBIE_STREAMS_MAX_AGE_MINUTES)
    recent = set(Job.objects.filter(pk__in=kept, finished_at__gt=long_ago).values_list("pk", flat=True))
    for job_id, owner in _without_work([job_id for job_id in kept if job_id not in recent]).items():
        deleted = dry_run or _delete(job_id, owner)
        report.fixed += deleted
        report.unfixable += not deleted
        status = owner.status if owner else "deleted"
        logger.info("health.orphan_keys", job_id=job_id, status=status, deleted=deleted and not dry_run)

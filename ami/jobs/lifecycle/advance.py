"""advance: carry what the ledger says to where people look: pending sets and stages.

The ledger is the truth; this is a projection, written at most once a second per job, with one trailing
refresh that catches what the last second left out, and that tries to finish the job.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import structlog
from django.conf import settings
from django.db import transaction
from django.db.models.functions import Now

from ami.base.database import execute
from ami.base.failpoints import hit
from ami.jobs import ledger
from ami.jobs.dispatcher import dispatcher
from ami.jobs.lifecycle.contributions import write_contributions
from ami.jobs.lifecycle.finish import finish_job
from ami.jobs.lifecycle.publish import rebuild_pending_sets, unpublished_rows
from ami.jobs.models import Job, JobStage
from ami.jobs.progress import Counts, ml_stages
from ami.jobs.states import RUNNING, JobState
from ami.taskqueue import AsyncJobStateManager, PendingStateUnavailable, QueueError, TaskQueueManager

logger = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Settled:
    """Images of one job whose outcome became final in the ledger."""

    processed: Sequence[int] = ()
    failed: Sequence[int] = ()


def advance(job_id: int, settled: Settled) -> Counts | None:
    """Update pending sets, and progress if it is due or nothing seems open; the counts if it was, else None.

    Safe to run twice and to leave out: the trailing refresh and the health checks make up for it.
    """
    nothing_pending = _update_pending_sets(job_id, settled)
    hit("advance.after_pending")
    if not nothing_pending and not _take_turn(job_id):
        request_refresh(job_id)
        return None
    counts = project_stages(job_id)
    hit("advance.after_projection")
    return counts


def request_refresh(job_id: int) -> None:
    """Ask for one refresh in the background, an interval from now; many requests until then are one."""
    delay = settings.PROGRESS_INTERVAL_SECONDS
    asked = execute(
        """UPDATE jobs_job SET refresh_due_at = clock_timestamp() + make_interval(secs => %s)
        WHERE id = %s AND (refresh_due_at IS NULL OR refresh_due_at < clock_timestamp())""",
        [delay, job_id],
    )
    if asked:
        dispatcher().refresh(job_id, delay=delay)


def refresh_job(job_id: int) -> Counts | None:
    """Project the job's stages from the ledger, then try to finish it; None when the job is gone.

    Safe to run at any time: the projection is computed under a lock on the stages, so a later one never
    shows less than an earlier one.
    """
    job = Job.objects.filter(pk=job_id).first()
    if job is None:
        return None
    counts = project_stages(job_id)
    if counts.open == 0 and not job.is_final and finish_job(job, counts):
        project_stages(job_id)
    elif counts.open:
        ask_for_refill(job_id)
    return counts


def ask_for_refill(job_id: int) -> None:
    """Ask for more publishing when the stream ran half empty while the ledger still has unpublished rows."""
    running = Job.objects.filter(
        pk=job_id, status__in=RUNNING, collected_at__isnull=False, queue_epoch__gt=0
    ).exists()
    if not running or not unpublished_rows(job_id):
        return
    try:
        standing = TaskQueueManager().message_count(job_id)
    except QueueError:
        return
    if standing is not None and standing < settings.DISPATCH_WINDOW / 2:
        dispatcher().dispatch(job_id)


def project_stages(job_id: int) -> Counts:
    """Write the stages as ledger and job are now, and nothing else; returns the counts.

    One at a time, so that no older view overwrites a newer. Safe to run at any time.
    """
    with transaction.atomic():
        ledger.keep_job(job_id)
        stages = {
            stage.key: stage
            for stage in JobStage.objects.select_for_update(no_key=True).filter(job_id=job_id).order_by("pk")
        }
        counts, shares = ledger.count_by_worker(job_id)
        write_contributions(job_id, shares)
        Job.objects.filter(pk=job_id).update(projected_at=Now(), refresh_due_at=None)
        job = Job.objects.only("status", "collected_at", "delay").filter(pk=job_id).first()
        if not stages or job is None:
            return counts
        wanted = ml_stages(
            counts,
            status=JobState(job.status),
            collected=job.collected_at is not None,
            threshold=settings.FAILURE_THRESHOLD,
            delay=job.delay,
        )
        changed = []
        for stage in wanted:
            row = stages.get(stage.key)
            if row is None:
                continue
            row.status, row.progress = stage.status, stage.progress
            row.params = [figure.as_wire() for figure in stage.figures]
            changed.append(row)
        JobStage.objects.bulk_update(changed, ["status", "progress", "params"])
    return counts


def _take_turn(job_id: int) -> bool:
    """Whether a projection is due; the one who gets the turn makes it."""
    return bool(
        execute(
            """UPDATE jobs_job SET projected_at = clock_timestamp() WHERE id = %s
            AND (projected_at IS NULL OR projected_at < clock_timestamp() - make_interval(secs => %s))""",
            [job_id, settings.PROGRESS_INTERVAL_SECONDS],
        )
    )


def _update_pending_sets(job_id: int, settled: Settled) -> bool:
    """Take settled images out of the Redis sets; True when they say that nothing is left."""
    final = [*settled.processed, *settled.failed]
    try:
        update = AsyncJobStateManager(job_id).settle_batch(
            processed=final, saved=final, failed=settled.failed
        )
    except PendingStateUnavailable as error:
        logger.info("pending_sets.unavailable", job_id=job_id, error=error.message)
        return False
    if update is None:
        if Job.objects.filter(pk=job_id, status__in=RUNNING).exists() and _take_turn(job_id):
            rebuild_pending_sets(job_id)
        return False
    return update.remaining == 0

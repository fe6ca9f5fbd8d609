"""advance: carry what the ledger says to where people look: pending sets and stages.

The ledger is the truth; this is a projection, written at most once a second per job, with one trailing
refresh that catches what the last second left out, and that tries to finish the job.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import structlog
from django.conf import settings
from django.db import Error, transaction

from ami.base.database import execute, rows
from ami.base.failpoints import hit
from ami.jobs import ledger
from ami.jobs.dispatcher import dispatcher
from ami.jobs.lifecycle.contributions import write_contributions
from ami.jobs.lifecycle.finish import finish_job
from ami.jobs.lifecycle.publish import rebuild_pending_sets, unpublished_rows
from ami.jobs.lifecycle.samples import note_sample
from ami.jobs.models import Job, JobStage
from ami.jobs.progress import Counts, ml_stages
from ami.jobs.states import RUNNING, DispatchMode, JobState
from ami.taskqueue import AsyncJobStateManager, PendingStateUnavailable, QueueError, TaskQueueManager

logger = structlog.get_logger(__name__)

AT_ONCE = 5_000
"""Images taken out of the Redis sets in one step, which nobody else's commands can get between."""


@dataclass(frozen=True, slots=True)
class Settled:
    """Images of one job whose outcome became final in the ledger."""

    processed: Sequence[int] = ()
    failed: Sequence[int] = ()


def advance(job_id: int, settled: Settled, *, queued: bool = True) -> Counts | None:
    """Update pending sets, and progress if it is due or nothing seems open; the counts if it was, else None.

    `queued`: whether the images were in the queue; what is pushed to a service is in no pending set.

    Safe to run twice and to leave out: the trailing refresh and the health checks make up for it.
    """
    nothing_pending = queued and _update_pending_sets(job_id, settled)
    hit("advance.after_pending")
    if not nothing_pending and not _take_turn(job_id):
        request_refresh(job_id)
        return None
    counts = project_stages(job_id)
    hit("advance.after_projection")
    return counts


def request_refresh(job_id: int) -> None:
    """Ask for one refresh in the background, an interval from now; many requests until then are one.

    Best effort: waits for no lock and never raises for the database, because it follows commits that must not
    fail any more. While somebody holds the job's row the request is made without being noted: one too many
    does no harm. What the broker did not take is due at once, so that the next request asks again, and so
    does the dispatch check.
    """
    delay = settings.PROGRESS_INTERVAL_SECONDS
    try:
        if not execute(_NOTE_REQUEST, [delay, job_id]) and not rows(_IS_WANTED, [job_id]):
            return
        if not dispatcher().refresh(job_id, delay=delay):
            execute(_DUE_NOW, [job_id])
    except Error as error:
        logger.warning("refresh.not_requested", job_id=job_id, error=str(error).strip())


_WANTED = "(refresh_due_at IS NULL OR refresh_due_at < clock_timestamp())"
_IS_WANTED = f"SELECT 1 FROM jobs_job WHERE id = %s AND {_WANTED}"  # noqa: S608 - made of constants
_NOTE_REQUEST = f"""UPDATE jobs_job SET refresh_due_at = clock_timestamp() + make_interval(secs => %s)
WHERE id = (SELECT id FROM jobs_job WHERE id = %s AND {_WANTED} FOR NO KEY UPDATE SKIP LOCKED)
"""  # noqa: S608 - made of constants
_DUE_NOW = """UPDATE jobs_job SET refresh_due_at = clock_timestamp()
WHERE id = (SELECT id FROM jobs_job WHERE id = %s FOR NO KEY UPDATE SKIP LOCKED)"""


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
    elif counts.open and job.dispatch_mode == DispatchMode.ASYNC_API:
        _take_out_failed(job_id, counts)
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
    taken = _take_request(job_id)
    with transaction.atomic():
        stages = hold_stages(job_id)
        counts, shares = ledger.count_by_worker(job_id)
        hit("refresh.counted")
        write_contributions(job_id, shares)
        note_sample(job_id, counts)
        execute(
            """UPDATE jobs_job SET projected_at = clock_timestamp(), refresh_due_at =
                CASE WHEN refresh_due_at = %s THEN NULL ELSE refresh_due_at END WHERE id = %s""",
            [taken, job_id],
        )
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


def hold_stages(job_id: int) -> dict[str, JobStage]:
    """Lock a job's stages, by key. Comes after the job's row is kept and before it is written."""
    ledger.keep_job(job_id)
    stages = JobStage.objects.select_for_update(no_key=True).filter(job_id=job_id).order_by("pk")
    return {stage.key: stage for stage in stages}


def _take_request(job_id: int) -> datetime | None:
    """Make the noted refresh due now, before the ledger is counted: whoever asks from now on asks anew.

    The mark goes with the projection that answers it. If that one dies, the dispatch check finds the mark.
    """
    found = rows(
        """UPDATE jobs_job SET refresh_due_at = clock_timestamp()
        WHERE id = %s AND refresh_due_at IS NOT NULL RETURNING refresh_due_at""",
        [job_id],
    )
    return found[0][0] if found else None


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


def _take_out_failed(job_id: int, counts: Counts) -> None:
    """Take images out of the Redis sets that failed without an inbox row: nobody else does.

    The whole ledger is read only when the sets know of fewer failed images than it does.
    """
    state = AsyncJobStateManager(job_id)
    try:
        known = state.snapshot()
        if known is None or known.failed >= counts.failed:
            return
        failed = ledger.failed_images(job_id)
        for start in range(0, len(failed), AT_ONCE):
            part = failed[start : start + AT_ONCE]
            state.settle_batch(processed=(), saved=part, failed=part)
    except PendingStateUnavailable as error:
        logger.info("pending_sets.unavailable", job_id=job_id, error=error.message)

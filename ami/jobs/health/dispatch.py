"""dispatch check: jobs whose dispatch is unfinished, or whose queue lost something, are dispatched again.

It never touches NATS state itself: it reads, compares with the ledger, and enqueues. While a slice is at work
(a live claim) it leaves the job alone. It also repeats requests for a refresh that were lost.
"""

from __future__ import annotations

from dataclasses import dataclass

from django.conf import settings
from django.db import Error, connection
from django.db.models import F, Q
from django.db.models.functions import Now

from ami.base.database import rows
from ami.jobs import ledger, logs
from ami.jobs.dispatcher import dispatcher
from ami.jobs.health.report import Report
from ami.jobs.lifecycle.advance import request_refresh
from ami.jobs.lifecycle.dispatch import delay_left
from ami.jobs.lifecycle.publish import unpublished_rows
from ami.jobs.models import Job
from ami.jobs.states import RUNNING, DispatchMode, JobState, TaskState
from ami.taskqueue import QueueError, TaskQueueManager

OVERDUE_SECONDS = 10.0
"""A refresh that is so late was lost, or waits behind so many that once more does not matter."""


@dataclass(frozen=True, slots=True)
class _Seen:
    """What the job's row said before the stream was looked at."""

    job_id: int
    run: int
    epoch: int
    published_to: int


def check_dispatch(*, dry_run: bool = False) -> Report:
    """Look at every running job once. Safe to run twice: dispatching is claimed, rebuilding conditional."""
    report = Report()
    idle = Q(driver_until__isnull=True) | Q(driver_until__lt=Now())
    jobs = Job.objects.filter(idle, status__in=RUNNING)
    for job in jobs.order_by("pk"):
        report.checked += 1
        try:
            needed = _needs_dispatch(job, dry_run)
        except QueueError as error:
            report.unfixable += 1
            logs.logger.warning("health.queue_unavailable", job_id=job.pk, error=error.message)
            continue  # others may wait for something else, and a queue that is known to be away costs no time
        except Error as error:
            if not connection.is_usable():
                raise
            report.unfixable += 1
            logs.logger.warning("health.job_not_checked", job_id=job.pk, error=repr(error)[:500])
            continue  # it was this job's: a statement that took too long, a lock that was not granted
        if needed and (dry_run or dispatcher().dispatch(job.pk)):
            report.fixed += 1
        elif needed:
            report.unfixable += 1
    if not dry_run:
        _repeat_lost_refreshes()
    return report


def _repeat_lost_refreshes() -> None:
    """Ask again for refreshes that are overdue, of jobs in any state: the broker or a worker lost them."""
    overdue = rows(
        """SELECT id FROM jobs_job
        WHERE refresh_due_at < clock_timestamp() - make_interval(secs => %s) ORDER BY id""",
        [OVERDUE_SECONDS],
    )
    for (job_id,) in overdue:
        request_refresh(job_id)


def _needs_dispatch(job: Job, dry_run: bool) -> bool:
    """Whether dispatching has something to do for this job. Raises QueueError when NATS does not answer."""
    if delay_left(job) > 0:
        return False
    if job.collected_at is None or job.dispatch_mode == DispatchMode.INTERNAL:
        return True
    if ledger.count(job.pk).open == 0:
        if not dry_run:
            dispatcher().refresh(job.pk)
        return False
    if job.status == JobState.PENDING or job.dispatch_mode == DispatchMode.SYNC_API:
        return True  # its workers wait for the start, whatever stands in the queue
    queue = TaskQueueManager()
    if not job.queue_epoch or not queue.exists(job.pk, job.queue_epoch):
        return True
    standing = queue.message_count(job.pk)
    if standing is None:
        return True
    if standing < settings.DISPATCH_WINDOW / 2 and unpublished_rows(job.pk):
        return True
    seen = _Seen(job.pk, job.run, job.queue_epoch, job.published_to)
    return not dry_run and _lost_messages(seen, standing)


def _lost_messages(seen: _Seen, standing: int) -> bool:
    """Whether the stream holds fewer messages than the ledger published, twice in a row.

    Then the epoch is raised, so that the dispatch which the caller enqueues builds the queue anew. Once is no
    evidence: a result may be accepted between looking at the stream and counting rows.
    """
    published = rows(
        "SELECT count(*) FROM jobs_jobtask WHERE job_id = %s AND status = %s AND position <= %s",
        [seen.job_id, TaskState.PENDING, seen.published_to],
    )[0][0]
    mark = {"run": seen.run, "epoch": seen.epoch}
    same = Job.objects.filter(pk=seen.job_id, run=seen.run, queue_epoch=seen.epoch, status__in=RUNNING)
    if standing >= published:
        same.filter(dispatch_seen__isnull=False).update(dispatch_seen=None)
        return False
    idle = same.filter(Q(driver_until__isnull=True) | Q(driver_until__lt=Now()))
    if idle.filter(dispatch_seen=mark).update(
        queue_epoch=F("queue_epoch") + 1, published_to=0, dispatch_seen=None
    ):
        logs.write_one(
            seen.job_id,
            "job.messages_lost",
            f"The queue holds {standing:,} messages for {published:,} waiting images: it is built anew.",
            "WARNING",
            standing=standing,
            waiting=published,
        )
        return True
    idle.update(dispatch_seen=mark)
    return False

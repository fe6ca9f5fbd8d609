"""Everything that is known of a job at one moment; read in one view of the database."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Q

from ami.base.database import rows
from ami.jobs import ledger
from ami.jobs.models import Job, JobContribution, JobLog
from ami.jobs.progress import Counts
from ami.jobs.states import TaskState
from ami.jobs.tracing.checks import Check, scheduled
from ami.jobs.tracing.groups import Group
from ami.jobs.tracing.queues import QueueFacts, SetFacts
from ami.jobs.waiting import lack_of_workers
from ami.ml.models import ProcessingService, WorkerInstance
from ami.ml.models.processing_service import ONLINE_FOR

MOST_NOTES = 5


@dataclass(frozen=True, slots=True)
class InboxFacts:
    """The job's inbox rows, and how many of them somebody saves now."""

    rows: int
    under_way: int
    oldest: datetime | None


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened, or will, at a time."""

    at: datetime
    text: str


@dataclass(frozen=True, slots=True)
class View:
    """A job and its surroundings. `unpublished`: pending images beyond what was published."""

    now: datetime
    job: Job
    counts: Counts
    unpublished: int
    groups: Sequence[Group]
    """All its unfinished images."""
    queue: QueueFacts
    sets: SetFacts
    inbox: InboxFacts
    workers: Sequence[WorkerInstance]
    """Those that are online and can serve the job."""
    notes: Sequence[Event | str]
    """What health checks noticed, and warnings of the job's log; the newest last."""
    lack: str
    """Why no worker asks for its images; empty if one may."""
    dispatch_check: Check
    inbox_check: Check
    lost_check: Check
    sets_check: Check

    @property
    def dispatching(self) -> bool:
        """Whether somebody dispatches the job now."""
        return self.job.driver_until is not None and self.job.driver_until > self.now

    @property
    def free(self) -> int:
        """Images that a worker could get now, as far as the ledger says."""
        return sum(
            group.count
            for group in self.groups
            if group.status == TaskState.PENDING
            and group.published
            and group.lease != "running"
            and not group.pausing
        )

    @property
    def in_queue_by_ledger(self) -> int:
        """How many messages must stand in the queue at least."""
        return self.counts.pending - self.unpublished

    @property
    def surely_missing(self) -> int:
        """How many messages are missing from the queue at least, judged by counts alone."""
        return max(0, self.in_queue_by_ledger - (self.queue.messages or 0)) if not self.queue.away else 0

    @property
    def loss_was_seen(self) -> bool:
        """Whether the dispatch check has seen once that messages are missing."""
        return self.job.dispatch_seen == {"run": self.job.run, "epoch": self.job.queue_epoch}


def database_time() -> datetime:
    """What time it is, by the clock that judges leases."""
    found: datetime = rows("SELECT clock_timestamp()")[0][0]
    return found


def look_at_job(job: Job, now: datetime, groups: Sequence[Group], queue: QueueFacts, sets: SetFacts) -> View:
    """All of it. Call within `one_view`, so that the figures fit together.

    `job` comes with its pipeline and project.
    """
    workers = _workers(job, now)
    return View(
        now=now,
        job=job,
        counts=ledger.count(job.pk),
        unpublished=_unpublished(job),
        groups=groups,
        queue=queue,
        sets=sets,
        inbox=_inbox(job.pk, now),
        workers=workers,
        notes=_notes(job),
        lack="" if workers and job.project.active else lack_of_workers(job),
        dispatch_check=scheduled("dispatch"),
        inbox_check=scheduled("inbox"),
        lost_check=scheduled("lost_images"),
        sets_check=scheduled("pending_sets"),
    )


def _unpublished(job: Job) -> int:
    sql = "SELECT count(*) FROM jobs_jobtask WHERE job_id = %s AND status = %s AND position > %s"
    return int(rows(sql, [job.pk, TaskState.PENDING, job.published_to])[0][0])


def _inbox(job_id: int, now: datetime) -> InboxFacts:
    sql = """SELECT count(*), count(*) FILTER (WHERE claimed_until > %s), min(created_at)
    FROM jobs_inboxentry WHERE job_id = %s"""
    return InboxFacts(*rows(sql, [now, job_id])[0])


def _workers(job: Job, now: datetime) -> list[WorkerInstance]:
    """Online workers of services, or of accounts, that offer the pipeline in the project, or did this job.

    Accounts with old tokens that never registered a pipeline are known only by what they did.
    """
    services = ProcessingService.objects.pulling().filter(projects=job.project_id, pipelines=job.pipeline_id)
    can_serve = (
        Q(service__in=services)
        | Q(user__in=services.filter(registered_by__isnull=False).values("registered_by"))
        | Q(pk__in=JobContribution.objects.filter(job=job).values("instance"))
    )
    online = WorkerInstance.objects.filter(can_serve, online=True, last_seen__gt=now - ONLINE_FOR)
    return list(online.order_by("-last_seen", "pk"))


def _notes(job: Job) -> list[Event | str]:
    warnings = JobLog.objects.filter(job=job, level__in=["WARNING", "ERROR", "CRITICAL"])
    newest = warnings.order_by("-created_at", "-id")[:MOST_NOTES]
    noticed = job.diagnostics if isinstance(job.diagnostics, list) else [job.diagnostics]
    return [
        *map(str, noticed[-MOST_NOTES:]),
        *(Event(line.created_at, line.message) for line in reversed(newest)),
    ]

"""snapshots: one log line per running job, so that its course can be read afterwards.

The structured log has every snapshot; the job's own log only those between which something was done, so that
a job that waits for a week does not fill it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import structlog

from ami.base import clock
from ami.base.database import rows
from ami.jobs import logs
from ami.jobs.health.report import Report
from ami.jobs.models import Job
from ami.jobs.states import SERVING, DispatchMode
from ami.ml.models import ProcessingService
from ami.ml.models.processing_service import ONLINE_FOR
from ami.taskqueue import ConsumerState, QueueError, TaskQueueManager

logger = structlog.get_logger(__name__)

INTERVAL_SECONDS = 120.0
"""Over which the rate is measured: how often this check runs."""

_FIGURES = """SELECT count(*) FILTER (WHERE status IN (0, 1)),
    count(*) FILTER (WHERE leased_until > clock_timestamp()),
    count(*) FILTER (WHERE finished_at > clock_timestamp() - make_interval(secs => %s))
FROM jobs_jobtask WHERE job_id = %s"""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A running job at a moment. Unit: images. `queue` is None when NATS did not answer or has no queue."""

    left: int
    leased: int
    finished_lately: int
    workers_online: int
    queue: ConsumerState | None

    @property
    def rate(self) -> float:
        """Images per second over the last interval."""
        return self.finished_lately / INTERVAL_SECONDS

    @property
    def eta_seconds(self) -> float | None:
        """Until nothing is left at that rate; None while nothing is done."""
        return self.left / self.rate if self.finished_lately else None


def check_snapshots(*, dry_run: bool = False) -> Report:
    """Take and log a snapshot of every job that hands out tasks. Changes nothing but logs."""
    jobs = list(Job.objects.filter(status__in=SERVING, dispatch_mode=DispatchMode.ASYNC_API).order_by("pk"))
    report = Report(checked=len(jobs))
    for job, queue in zip(jobs, _queues(jobs, report), strict=True):
        snapshot = take_snapshot(job, queue)
        if not dry_run:
            _write(job, snapshot)
    return report


def take_snapshot(job: Job, queue: ConsumerState | None) -> Snapshot:
    """How the job stands in the ledger now. `queue`: what NATS says."""
    left, leased, lately = rows(_FIGURES, [INTERVAL_SECONDS, job.pk])[0]
    online = ProcessingService.objects.pulling().filter(
        projects=job.project_id,
        pipelines=job.pipeline_id,
        last_seen_live=True,
        last_seen__gt=clock.now() - ONLINE_FOR,
    )
    return Snapshot(left, leased, lately, online.count(), queue)


def _queues(jobs: Sequence[Job], report: Report) -> list[ConsumerState | None]:
    """What NATS says about each job; once it does not answer, it is not asked for the others."""
    found: list[ConsumerState | None] = []
    queue = TaskQueueManager()
    for job in jobs:
        state = None
        if not report.unfixable:
            try:
                state = queue.consumer_state(job.pk, job.queue_epoch)
            except QueueError as error:
                report.unfixable += 1
                logger.warning("health.queue_unavailable", job_id=job.pk, error=error.message)
        found.append(state)
    return found


def _write(job: Job, snapshot: Snapshot) -> None:
    figures: dict[str, Any] = {
        "left": snapshot.left,
        "leased": snapshot.leased,
        "images_per_second": round(snapshot.rate, 2),
        "eta_seconds": None if snapshot.eta_seconds is None else round(snapshot.eta_seconds),
        "services_online": snapshot.workers_online,
    }
    if snapshot.queue is not None:
        figures |= {"waiting": snapshot.queue.waiting, "redelivered": snapshot.queue.redelivered}
    if snapshot.finished_lately:
        logs.write_one(job.pk, "job.snapshot", _sentence(snapshot), **figures)
    else:
        logger.info("job.snapshot", job_id=job.pk, **figures)


def _sentence(snapshot: Snapshot) -> str:
    minutes = (snapshot.eta_seconds or 0) / 60
    eta = f"{minutes:.0f} min" if minutes >= 1 else "less than a minute"
    return (
        f"{snapshot.left:,} images left, {snapshot.leased:,} with workers, {snapshot.rate:.1f} images/s, "
        f"about {eta} to go; services online: {snapshot.workers_online}."
    )

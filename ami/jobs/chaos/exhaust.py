"""Using up all attempts of some images: they are leased by the real code, again and again, in silence.

To get a certain image from the queue, everything before it is leased as well; that is given back at once,
without using an attempt. It is what a worker does that takes an image and is never heard of again.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from django.conf import settings

from ami.base.database import rows
from ami.jobs.chaos.errors import ChaosRefused
from ami.jobs.lifecycle.dispatch import dispatch_job
from ami.jobs.lifecycle.holders import Worker
from ami.jobs.lifecycle.lease_calls import release
from ami.jobs.lifecycle.reserve import ReservedTask, reserve_tasks
from ami.jobs.models import Job, JobTask
from ami.jobs.states import SERVING, ErrorCode, TaskState
from ami.taskqueue import ReserveRequest, TaskQueueManager

NAME = "chaos monkey"
AT_ONCE = 500
"""Images leased in one call."""
POLL_SECONDS = 0.2
SLACK_SECONDS = 10.0
"""What a round of leases may take longer than the leases."""

LetRunOut = Callable[[Sequence[ReservedTask]], None]
"""Returns when the leases of these tasks are over."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of an image."""

    image_id: int
    status: TaskState
    error_code: str
    used: int
    """Attempts."""

    @property
    def is_exhausted(self) -> bool:
        """Whether it failed because its attempts were used up."""
        return self.error_code == ErrorCode.DELIVERY_EXHAUSTED


def ensure_stream(job_id: int) -> bool:
    """Dispatch the job here and now if it has no queue; True if it was dispatched.

    Raises ChaosRefused if there is no queue after that, because another dispatch is at work or the job is not
    under way. Safe to run twice.
    """
    if _has_queue(job_id):
        return False
    dispatch_job(job_id)
    if not _has_queue(job_id):
        raise ChaosRefused(f"The job {job_id} cannot be dispatched now (see manage.py trace_job {job_id}).")
    return True


def exhaust(job_id: int, image_ids: Sequence[int], *, let_run_out: LetRunOut | None = None) -> list[Outcome]:
    """Have pending images fail for want of attempts; takes as many leases' time as attempts are left.

    Other images keep their attempts. An image that a worker gets meanwhile is waited for; what did not work
    out is to be seen in the outcomes. Raises ChaosRefused for what cannot be begun, and QueueUnavailable.
    Safe to run twice: the second run refuses. `let_run_out`: by default, waits for the database's clock.
    """
    _check(job_id, image_ids)
    work = _Exhaustion(job_id, list(image_ids), let_run_out or wait_until_over)
    patience = (settings.NATS_MAX_DELIVER + 1) * (settings.NATS_TASK_TTR + SLACK_SECONDS)
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline and (left := _pending(job_id, image_ids)):
        if not work.round(left):
            time.sleep(POLL_SECONDS)
    return _outcomes(job_id, image_ids)


def wait_until_over(tasks: Sequence[ReservedTask]) -> None:
    """Wait for the moment at which the database calls all these leases over, or answered."""
    while any(_held(job_id, tasks) for job_id in {task.job_id for task in tasks}):
        time.sleep(POLL_SECONDS)


@dataclass(slots=True)
class _Exhaustion:
    """The work on the images of one job. Each call asks as another holder, so that no quota ends it."""

    job_id: int
    image_ids: list[int]
    let_run_out: LetRunOut
    calls: int = 0
    others: dict[Worker, list[ReservedTask]] = field(default_factory=dict)

    def round(self, wanted: set[int]) -> bool:
        """Lease what can be had of the images, wait until the leases are over; False if none could be had."""
        try:
            leased = self._lease(wanted)
        finally:
            self._give_back_others()
        if leased:
            self.let_run_out(leased)
        return bool(leased)

    def _lease(self, wanted: set[int]) -> list[ReservedTask]:
        epoch = Job.objects.values_list("queue_epoch", flat=True).get(pk=self.job_id)
        leased: list[ReservedTask] = []
        while len(leased) < len(wanted):
            self.calls += 1
            worker = Worker(f"chaos:{self.calls}", NAME)
            request = ReserveRequest(self.job_id, epoch, AT_ONCE)
            tasks = reserve_tasks([request], worker=worker, base_url=settings.EXTERNAL_BASE_URL)
            leased += [task for task in tasks if task.image_id in wanted]
            self.others[worker] = [task for task in tasks if task.image_id not in wanted]
            if not tasks:
                break
        return leased

    def _give_back_others(self) -> None:
        for worker, tasks in self.others.items():
            release([task.lease for task in tasks], worker)
        self.others.clear()


def _check(job_id: int, image_ids: Sequence[int]) -> None:
    """Refuse what cannot work."""
    job = Job.objects.filter(pk=job_id).first()
    if job is None:
        raise ChaosRefused(f"There is no job {job_id}.")
    if job.status not in SERVING:
        raise ChaosRefused(f"The job {job_id} is {job.status}: it hands out nothing.")
    if not _has_queue(job_id):
        raise ChaosRefused(f"The job {job_id} has no queue now; --ensure-stream dispatches it.")
    known = {outcome.image_id: outcome for outcome in _outcomes(job_id, image_ids)}
    for image_id in image_ids:
        if image_id not in known:
            raise ChaosRefused(f"The job {job_id} has no image {image_id}.")
        if known[image_id].status != TaskState.PENDING:
            state = known[image_id].status.name.lower()
            raise ChaosRefused(f"The image {image_id} is {state}: it will not be handed out any more.")


def _has_queue(job_id: int) -> bool:
    epoch = Job.objects.filter(pk=job_id).values_list("queue_epoch", flat=True).first()
    return bool(epoch) and TaskQueueManager().exists(job_id, epoch or 0)


def _pending(job_id: int, image_ids: Sequence[int]) -> set[int]:
    tasks = JobTask.objects.filter(job_id=job_id, image_id__in=image_ids, status=TaskState.PENDING)
    return set(tasks.values_list("image_id", flat=True))


def _held(job_id: int, tasks: Sequence[ReservedTask]) -> bool:
    images = [task.image_id for task in tasks if task.job_id == job_id]
    sql = """SELECT EXISTS (SELECT 1 FROM jobs_jobtask
    WHERE job_id = %s AND image_id = ANY(%s) AND leased_until > clock_timestamp())"""
    return bool(rows(sql, [job_id, images])[0][0])


def _outcomes(job_id: int, image_ids: Sequence[int]) -> list[Outcome]:
    tasks = JobTask.objects.filter(job_id=job_id, image_id__in=image_ids).order_by("position")
    return [
        Outcome(task.image_id, TaskState(task.status), task.error_code, task.attempt - task.released)
        for task in tasks
    ]

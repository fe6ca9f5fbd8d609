"""`trace`: gather what NATS, Redis and Postgres say of a job, and put it into words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.conf import settings

from ami.base.database import one_view
from ami.base.errors import AmiError
from ami.jobs.models import Job, JobTask
from ami.jobs.states import OPEN, DispatchMode, TaskState
from ami.jobs.tracing.agreement import Agreement, agreement
from ami.jobs.tracing.groups import Group, Published, open_groups
from ami.jobs.tracing.head import Line, facts, head
from ami.jobs.tracing.outcomes import OUTCOMES, outcome, story
from ami.jobs.tracing.phrases import MOST_IDS
from ami.jobs.tracing.places import Place, place_of
from ami.jobs.tracing.queues import Patience, QueueFacts, look_at_both
from ami.jobs.tracing.view import Event, View, database_time, look_at_job
from ami.jobs.tracing.waits import waiting_for
from ami.jobs.tracing.words import Words
from ami.main.addresses import address_of
from ami.main.models import SourceImage
from ami.taskqueue import StandingTask


class NotInJob(AmiError):
    """The job has no such image."""

    code = "not_in_job"
    http_status = 404


@dataclass(slots=True)
class Finding:
    """Images in one place. `images`: the first ten ids."""

    place: Place
    count: int
    images: list[int]
    where: str
    next: str


@dataclass(frozen=True, slots=True)
class Trace:
    """Where a job and its images are. `timeline` is of one image, and empty if none was asked for."""

    now: datetime
    job_id: int
    image_id: int | None
    head: list[Line]
    waiting_for: str
    findings: list[Finding]
    timeline: list[Event]
    facts: dict[str, Any]
    agreement: Agreement


def trace(job_id: int, image_id: int | None = None, patience: Patience | None = None) -> Trace:
    """Trace a job, or one image of it; changes nothing, and works without NATS and Redis.

    `patience`: how long servers may take; thorough if nothing is said.
    Raises Job.DoesNotExist, and NotInJob for an image without a row in the job's ledger.
    """
    before = Job.objects.get(pk=job_id)
    wanted = _wanted(before, image_id)
    unused = before.dispatch_mode != DispatchMode.ASYNC_API
    queue, sets = look_at_both(job_id, before.queue_epoch, wanted, patience, unused=unused)
    now = database_time()
    with one_view():
        job = Job.objects.select_related("pipeline", "project").get(pk=job_id)
        groups = _groups(job, before, queue, now, None)
        view = look_at_job(job, now, groups, queue, sets)
        task = None if image_id is None else _task(job, image_id)
        chosen = groups if image_id is None else _groups(job, before, queue, now, image_id)
        return Trace(
            now=now,
            job_id=job_id,
            image_id=image_id,
            head=head(view),
            waiting_for=waiting_for(view),
            findings=_findings(chosen, view, task),
            timeline=story(task, view) if task else [],
            facts=facts(view),
            agreement=agreement(view),
        )


def _wanted(job: Job, image_id: int | None) -> list[StandingTask]:
    """What to look for in the queue; nothing in particular unless one pending image is asked for."""
    if image_id is None:
        return []
    task = JobTask.objects.filter(job=job, image_id=image_id, status=TaskState.PENDING).first()
    return [StandingTask(task.image_id, task.run)] if task else []


def _groups(job: Job, before: Job, queue: QueueFacts, now: datetime, image_id: int | None) -> list[Group]:
    same_queue = (job.queue_epoch, job.run) == (before.queue_epoch, before.run)
    published = Published(job.published_to, before.published_to if same_queue else 0)
    return open_groups(job.pk, now, published, queue.standing or (), image_id)


def _task(job: Job, image_id: int) -> JobTask:
    task = JobTask.objects.filter(job=job, image_id=image_id).first()
    if task is None:
        collecting = "" if job.collected_at else "; its captures are not all collected yet"
        raise NotInJob(f"The job {job.pk} has no image {image_id}{collecting}.")
    return task


def _findings(groups: Sequence[Group], view: View, task: JobTask | None) -> list[Finding]:
    if task is not None and task.status not in OPEN:
        where, after = outcome(task, view)
        return [Finding(OUTCOMES[TaskState(task.status)], 1, [task.image_id], where, after)]
    capture = "" if task is None else _capture_problem(task.image_id)
    found: dict[tuple[Place, str, str], Finding] = {}
    for group in groups:
        place = place_of(group, view.queue)
        key = (place, *Words(group, view, capture).about(place))
        same = found.setdefault(key, Finding(place, 0, [], *key[1:]))
        same.count += group.count
        same.images = (same.images + group.images)[:MOST_IDS]
    order = list(Place)
    return sorted(found.values(), key=lambda finding: order.index(finding.place))


def _capture_problem(image_id: int) -> str:
    """Why the next reservation could not hand out this capture; empty if it could."""
    capture = SourceImage.objects.filter(pk=image_id).select_related("data_source").first()
    if capture is None:
        return "capture_deleted: the capture is gone"
    url = address_of(capture, settings.EXTERNAL_BASE_URL)
    return "no_url: the capture has no file" if url is None else ""

"""What is said of an image that has its outcome, and the story of one image as a timeline."""

from __future__ import annotations

from datetime import datetime

from django.conf import settings

from ami.jobs.models import Attempt, InboxEntry, JobLog, JobTask
from ami.jobs.states import ErrorCode, TaskState
from ami.jobs.tracing.phrases import moment, number
from ami.jobs.tracing.places import Place
from ami.jobs.tracing.view import Event, View
from ami.jobs.tracing.words import Sentences

OUTCOMES = {
    TaskState.PROCESSED: Place.PROCESSED,
    TaskState.FAILED: Place.FAILED,
    TaskState.CANCELLED: Place.CANCELLED,
}


def outcome(task: JobTask, view: View) -> Sentences:
    """How a final image ended, and what happens next."""
    again = "A retry of the job repeats it."
    at = _at(task.finished_at, view.now)
    if task.status == TaskState.PROCESSED:
        found = f"{number(task.detections, 'detection')} and {number(task.classifications, 'classification')}"
        return f"Processed by {task.worker or 'nobody'}{at} with {found}.", "Nothing more happens to it."
    if task.status == TaskState.CANCELLED:
        return f"Cancelled{at}.", again
    attempt = f" in attempt {task.attempt - task.released} of {settings.NATS_MAX_DELIVER}"
    who = f" at {task.worker}" if task.worker else ""
    how = f"{attempt}{who}" if task.attempt else ""
    reason = task.error_text.rstrip(".") or ErrorCode(task.error_code).label
    return f"Failed{at}{how} with {task.error_code}: {reason}.", again


def story(task: JobTask, view: View) -> list[Event]:
    """What happened to an image, and what is known to come, in order of time; its outcome comes last."""
    job = view.job
    marks = [
        (job.created_at, "The job was created."),
        (job.scheduled_at, f"Run {job.run} was submitted."),
        (job.started_at, f"Run {job.run} started."),
        (task.not_before, "The pause after the failed attempt ends."),
    ]
    if task.leased_until is not None:
        marks.append((task.leased_until, f"The lease of {task.worker} ends."))
    events = [Event(at, text) for at, text in marks if at is not None]
    events += [*_attempts(task), *_accepted(task), *_log(task)]
    return [*sorted(events, key=lambda event: event.at), *_ending(task)]


def _ending(task: JobTask) -> list[Event]:
    """What led to it may have been written down a moment later, in the same transaction."""
    if task.finished_at is None:
        return []
    return [Event(task.finished_at, f"The image is {TaskState(task.status).name.lower()}.")]


def _attempts(task: JobTask) -> list[Event]:
    found = Attempt.objects.filter(job_id=task.job_id, image_id=task.image_id).order_by("created_at", "pk")
    return [
        Event(
            attempt.created_at,
            f"Lease {attempt.attempt} of run {attempt.run} at {attempt.worker or 'an unknown worker'} ended "
            f"with {attempt.error_code}: {attempt.error_text}",
        )
        for attempt in found
    ]


def _accepted(task: JobTask) -> list[Event]:
    if task.accepted_in is None:
        return []
    entry = InboxEntry.objects.filter(pk=task.accepted_in).defer("body").first()
    if entry is None:
        return []
    return [Event(entry.created_at, f"A result of {task.worker} was accepted in inbox row {entry.pk}.")]


def _log(task: JobTask) -> list[Event]:
    """Lines of the job's log about this very image."""
    lines = JobLog.objects.filter(job_id=task.job_id, context__image_id=task.image_id)
    return [Event(line.created_at, line.message) for line in lines.order_by("created_at", "pk")]


def _at(at: datetime | None, now: datetime) -> str:
    return f" at {moment(at, now)}" if at else ""

"""What is known of a capture, in words: when, where, how large, and which jobs worked on it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from django.template.defaultfilters import filesizeformat

from ami.jobs.models import Job, JobTask
from ami.jobs.states import ErrorCode, TaskState
from ami.main.models import SourceImage
from ami.ml.models import Detection

_RECENT_JOBS = 200
_SHOWN_JOBS = 20


@dataclass(frozen=True)
class Moment:
    """A time as the station's clock showed it."""

    iso: str
    text: str
    zone: str


@dataclass(frozen=True)
class JobFact:
    """A job, and what became of the capture in it."""

    job: Job
    outcome: str


def moment_of(capture: SourceImage) -> Moment | None:
    """When it was taken, in the zone of its station; None if nobody knows."""
    if capture.timestamp is None:
        return None
    zone = capture.deployment.zone if capture.deployment else UTC
    local: datetime = capture.timestamp.astimezone(zone)
    return Moment(local.isoformat(), f"{local.day} {local:%b %Y, %H:%M:%S}", local.tzname() or "UTC")


def size_of(capture: SourceImage) -> str:
    """Pixels and bytes, as far as they are known."""
    known = []
    if capture.width and capture.height:
        known.append(f"{capture.width:,} × {capture.height:,} pixels")  # noqa: RUF001 - that is how sizes are written
    if capture.size is not None:
        known.append(filesizeformat(capture.size))
    return ", ".join(known)


def jobs_on(capture: SourceImage) -> list[JobFact]:
    """The jobs that had this capture, newest first, among the latest of the project; two statements.

    The ledger is looked up job by job, for no index leads from a capture to its jobs. Those whose predictions
    it still has are found however old they are.
    """
    recent = Job.objects.filter(project_id=capture.project_id).order_by("-pk").values("pk")[:_RECENT_JOBS]
    tasks = JobTask.objects.filter(image_id=capture.pk, job_id__in=recent)
    outcomes = {task.job_id: _outcome(task) for task in tasks.only(*_TASK_FIELDS)}
    found = Detection.objects.filter(source_image=capture, job_id__isnull=False).values("job_id")
    jobs = Job.objects.filter(project_id=capture.project_id).select_related("pipeline").order_by("-pk")
    either = jobs.filter(pk__in=list(outcomes)) | jobs.filter(pk__in=found)
    return [JobFact(job, outcomes.get(job.pk, "processed")) for job in either[:_SHOWN_JOBS]]


_TASK_FIELDS = ("job", "status", "error_code", "detections")


def _outcome(task: JobTask) -> str:
    """In words for everybody who may see the project: what workers said of an error is not among them."""
    if task.status == TaskState.PROCESSED:
        return f"processed, {task.detections:,} detection{'' if task.detections == 1 else 's'}"
    if task.status == TaskState.FAILED:
        why: dict[str, str] = dict(ErrorCode.choices)
        return f"failed: {why.get(task.error_code, 'nobody knows why')}"
    return _OPEN.get(task.status, "")


_OPEN = {
    int(TaskState.PENDING): "waiting",
    int(TaskState.RECEIVED): "being saved",
    int(TaskState.CANCELLED): "cancelled",
}

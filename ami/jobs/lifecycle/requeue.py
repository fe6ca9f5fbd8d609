"""requeue: have dead letters done again, and say what could not be and why."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from django.db.models import QuerySet

from ami.base.errors import AmiError, InvalidInput
from ami.jobs.lifecycle.enqueue import check_runnable
from ami.jobs.lifecycle.retry import retry_failed
from ami.jobs.models import DeadLetter, Job
from ami.jobs.states import FINAL, JobState

Selection = Mapping[int, Sequence[int] | None]
"""Failed images to be done again, by job; None stands for all of the job."""


@dataclass(frozen=True, slots=True)
class Requeued:
    """What became of a request about one job. Unit: images."""

    job_id: int
    images: int
    """Those that will be done again."""
    left: int = 0
    """Those that were asked for and stay as they are."""
    why: str = ""
    """Why they do, in a sentence; empty if none was left."""


def requeue(job_id: int, image_ids: Sequence[int] | None = None, *, by: str = "") -> Requeued:
    """Have the failed images of a job done again, all or those among `image_ids`, under its next run.

    Only a job that has ended takes them: while it runs, it may end any moment, with the numbers of its run.
    Raises InvalidInput for a job that is gone or that nothing here can carry out. Safe to run twice and at
    the same time: one call reopens, the other hears why it did not. `by` says who asked, for the job's log.
    """
    job = Job.objects.filter(pk=job_id).first()
    if job is None:
        raise InvalidInput(f"There is no job {job_id} any more.")
    if job.is_final:
        check_runnable(job)
    asked = _failed(job_id) if image_ids is None else len(set(image_ids))
    images = retry_failed(job, image_ids, by=by)
    left = 0 if images and image_ids is None else asked - images
    return Requeued(job_id, images, left, "" if images and not left else _why(job, images, left, asked))


def requeue_each(selection: Selection, *, by: str = "") -> list[Requeued]:
    """The same for several jobs, each by itself, in the order of their ids; refusals are told, not raised.

    Safe to run twice, like `requeue`.
    """
    done = []
    for job_id in sorted(selection):
        image_ids = selection[job_id]
        try:
            done.append(requeue(job_id, image_ids, by=by))
        except AmiError as error:
            left = _failed(job_id) if image_ids is None else len(set(image_ids))
            done.append(Requeued(job_id, 0, left, error.message))
    return done


def obstacle(job: Job) -> str:
    """Why a job would refuse now, in a sentence; empty if it would not."""
    if not job.is_final:
        return _not_ended(job.status)
    try:
        check_runnable(job)
    except InvalidInput as error:
        return error.message
    return ""


def images_by_job(letters: QuerySet[DeadLetter]) -> dict[int, list[int]]:
    """The images of these letters, by job: a selection that names each of them."""
    found: dict[int, list[int]] = {}
    keys: Iterable[tuple[int, int]] = letters.values_list("job_id", "image_id")
    for job_id, image_id in keys:
        found.setdefault(job_id, []).append(image_id)
    return found


def _failed(job_id: int) -> int:
    return DeadLetter.objects.filter(job_id=job_id).count()


def _why(job: Job, images: int, left: int, asked: int) -> str:
    """Looked up after the fact, for people: it may have changed again meanwhile."""
    if images:
        return f"{left:,} of the {asked:,} images are not failed in this job."
    status = Job.objects.filter(pk=job.pk).values_list("status", flat=True).first()
    if status is None:
        return f"There is no job {job.pk} any more."
    if status not in FINAL:
        return _not_ended(status)
    return "None of these images is failed in this job." if asked else "No image of this job is failed."


def _not_ended(status: str) -> str:
    state = JobState(status).label.lower()
    return f"The job has not ended (it is {state}): its failed images can be requeued once it has."

"""enqueue: hand a created job to the background, or repeat a final one."""

from __future__ import annotations

from django.db import transaction

from ami.base.errors import InvalidInput
from ami.jobs import logs, transitions
from ami.jobs.dispatcher import dispatcher
from ami.jobs.lifecycle import kinds
from ami.jobs.lifecycle.retry import retry_job
from ami.jobs.models import Job
from ami.jobs.states import FINAL, DispatchMode, JobState


def run_job(job: Job) -> None:
    """CREATED → PENDING and ask for its dispatch after the commit; a final job is retried instead.

    A job that is already on its way is left alone: safe to call twice. Raises InvalidInput for a job that
    nothing here can carry out.
    """
    check_runnable(job)
    if job.status in FINAL:
        retry_job(job)
        return
    if transitions.submit(job.pk):
        transaction.on_commit(lambda: ask_for_dispatch(job.pk, delay=job.delay))
        logs.write_one(job.pk, "job.submitted", "Job submitted.")


def ask_for_dispatch(job_id: int, delay: float = 0) -> None:
    """Enqueue the dispatch; what is lost here, the dispatch check enqueues again."""
    dispatcher().dispatch(job_id, delay=delay)


def check_runnable(job: Job) -> None:
    """Refuse a job that would wait for ever. Raises InvalidInput with what to do."""
    if job.dispatch_mode == DispatchMode.INTERNAL:
        _check_internal(job)
        return
    if job.pipeline_id is None:
        raise InvalidInput("This job has no pipeline any more; create it again with another one.")
    has_captures = job.source_image_collection_id or job.source_image_single_id or job.deployment_id
    if job.status == JobState.CREATED and not has_captures:
        raise InvalidInput("This job names no captures: choose a capture set, a deployment or a capture.")


def _check_internal(job: Job) -> None:
    if job.job_type_key == "ml":
        raise InvalidInput("This job has no pipeline; choose one before running it.")
    kind = kinds.find(job.job_type_key)
    if kind is None:
        raise InvalidInput(f"This server cannot carry out jobs of the type {job.job_type_key!r}.")
    kind.check(job)

"""retry: repeat what a final job left undone, under the next run number; what is done stays done."""

from __future__ import annotations

from django.db import transaction

from ami.jobs import diagnostics, ledger, logs, transitions
from ami.jobs.dispatcher import dispatcher
from ami.jobs.lifecycle.advance import project_stages
from ami.jobs.models import Job
from ami.jobs.states import TaskState

UNDONE = (TaskState.PENDING, TaskState.FAILED, TaskState.CANCELLED)


def retry_job(job: Job) -> bool:
    """Reopen failed, cancelled and left-over images of a final job and dispatch them; True if this call did.

    A job that is not final is left alone (safe to call twice). With the project's flag
    `reprocess_all_images`, processed images are repeated too.
    """
    states = [*UNDONE]
    if job.project.feature_flags["reprocess_all_images"]:
        states.append(TaskState.PROCESSED)
    return _reopen(job.pk, states)


def retry_failed(job: Job) -> bool:
    """Reopen only the failed images of a final job; True if this call did."""
    return _reopen(job.pk, [TaskState.FAILED])


def _reopen(job_id: int, states: list[TaskState]) -> bool:
    with transaction.atomic():
        run = Job.objects.filter(pk=job_id).values_list("run", flat=True).first()
        if run is None or not transitions.reopen(job_id, run):
            return False
        reopened = ledger.reopen(job_id, run + 1, states)
        diagnostics.clear(job_id)
        transaction.on_commit(lambda: _dispatch(job_id))
    project_stages(job_id)  # whoever asked for the retry is about to look at its stages
    logs.write_one(
        job_id,
        "job.retried",
        f"Job started again (run {run + 1}) for {reopened:,} images.",
        run=run + 1,
        reopened=reopened,
    )
    return True


def _dispatch(job_id: int) -> None:
    dispatcher().refresh(job_id)
    dispatcher().dispatch(job_id)

"""retry: repeat what a final job left undone, under the next run number; what is done stays done.

The stages are projected in the transaction that begins the run: nobody sees a run with the progress of the
one before.
"""

from __future__ import annotations

from collections.abc import Sequence

from django.db import transaction

from ami.base.failpoints import hit
from ami.jobs import diagnostics, ledger, logs, transitions
from ami.jobs.dispatcher import dispatcher
from ami.jobs.lifecycle.advance import hold_stages, project_stages
from ami.jobs.lifecycle.create import begin_again
from ami.jobs.models import Job
from ami.jobs.states import DispatchMode, TaskState

UNDONE = (TaskState.PENDING, TaskState.FAILED, TaskState.CANCELLED)


def retry_job(job: Job) -> bool:
    """Reopen failed, cancelled and left-over images of a final job and dispatch them; True if this call did.

    A job that is not final is left alone (safe to call twice). With the project's flag
    `reprocess_all_images`, processed images are repeated too.
    """
    states = [*UNDONE]
    if job.project.feature_flags["reprocess_all_images"]:
        states.append(TaskState.PROCESSED)
    with transaction.atomic():
        run = _next_run(job.pk)
        if run is None:
            return False
        if job.dispatch_mode == DispatchMode.INTERNAL:
            begin_again(job)
        reopened = ledger.reopen(job.pk, run, states)
        project_stages(job.pk)
        _dispatch_after_commit(job.pk)
    _log(job.pk, run, reopened)
    return True


def retry_failed(job: Job, image_ids: Sequence[int] | None = None, *, by: str = "") -> int:
    """Reopen the failed images of a final job, or only those among `image_ids`, and dispatch them.

    Returns how many; 0 means that nothing changed: the job is not final, or none of them is failed. So a
    second call, or one at the same time, changes nothing. `by` says who asked, for the log.
    """
    with transaction.atomic():
        run = _next_run(job.pk)
        if run is None:
            return 0
        reopened = ledger.reopen(job.pk, run, [TaskState.FAILED], image_ids)
        hit("retry.before_commit")
        if not reopened:
            transaction.set_rollback(True)  # the job stays as it ended
            return 0
        project_stages(job.pk)
        _dispatch_after_commit(job.pk)
    _log(job.pk, run, reopened, by)
    return reopened


def _next_run(job_id: int) -> int | None:
    """Take a final job into its next run, and hold its stages and its row; None if it is not final."""
    hold_stages(job_id)
    run = Job.objects.filter(pk=job_id).values_list("run", flat=True).first()
    if run is None or not transitions.reopen(job_id, run):
        return None
    diagnostics.clear(job_id)
    return run + 1


def _log(job_id: int, run: int, reopened: int, by: str = "") -> None:
    logs.write_one(
        job_id,
        "job.retried",
        f"Job started again{f' by {by}' if by else ''} (run {run}) for {reopened:,} images.",
        run=run,
        reopened=reopened,
    )


def _dispatch_after_commit(job_id: int) -> None:
    def dispatch() -> None:
        dispatcher().refresh(job_id)
        dispatcher().dispatch(job_id)

    transaction.on_commit(dispatch)

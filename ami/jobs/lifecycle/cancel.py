"""cancel: end a job now; what was accepted is still saved, what was not yet is cancelled."""

from __future__ import annotations

from django.db import transaction

from ami.base.failpoints import hit
from ami.jobs import ledger, logs, transitions
from ami.jobs.lifecycle import kinds
from ami.jobs.lifecycle.advance import request_refresh
from ami.jobs.lifecycle.cleanup import clean_up
from ami.jobs.models import Job


def cancel_job(job_id: int, *, by: str = "", why: str = "") -> bool:
    """Cancel a job that has not ended; True if this call did it. `by` and `why` say who and why, for the log.

    One transaction, job row first, so that nothing is handed out or opened in between. Safe to run twice.
    """
    with transaction.atomic():
        if not transitions.cancel(job_id):
            return False
        cancelled = ledger.cancel_pending(job_id)
        run = Job.objects.values_list("run", flat=True).get(pk=job_id)
    hit("cancel.after_commit")
    logs.write_one(
        job_id,
        "job.cancelled",
        f"Job cancelled{f' by {by}' if by else ''}{f' because {why}' if why else ''}: "
        f"{cancelled:,} images will not be processed.",
        "WARNING",
        cancelled=cancelled,
    )
    clean_up(job_id, run)
    kinds.abandon(job_id)
    request_refresh(job_id)
    return True

"""delete: what has to happen before a job or captures disappear."""

from __future__ import annotations

from collections.abc import Sequence

from django.db import transaction

from ami.jobs import ledger
from ami.jobs.lifecycle.advance import request_refresh
from ami.jobs.lifecycle.cancel import cancel_job
from ami.jobs.lifecycle.cleanup import drop_queue_of_deleted
from ami.jobs.models import Job

CAPTURE_GONE = "The capture was deleted while the job was running."


def delete_job(job: Job) -> None:
    """Cancel a job, then delete it with everything that is its own; predictions stay.

    Its row is locked first: whoever else works on what is deleted with it holds the row, too, and comes
    before or after, never across.
    """
    job_id = job.pk
    cancel_job(job_id)
    with transaction.atomic():
        current = Job.objects.select_for_update(of=("self",)).filter(pk=job_id).first()
        if current is not None:
            current.delete()
    drop_queue_of_deleted(job_id)


def fail_tasks_of_deleted(image_ids: Sequence[int]) -> None:
    """Fail the open images of all jobs that are about to lose these captures.

    Call inside the transaction that deletes the captures. Safe to run twice.
    """
    for job_id in ledger.fail_deleted_captures(image_ids, CAPTURE_GONE):
        transaction.on_commit(lambda job_id=job_id: request_refresh(job_id))  # type: ignore[misc]

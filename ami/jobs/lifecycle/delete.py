"""delete: what has to happen before a job, or something that jobs depend on, disappears."""

from __future__ import annotations

from collections.abc import Sequence

from django.db import connection, transaction

from ami.base.database import execute, rows
from ami.jobs import ledger
from ami.jobs.lifecycle.advance import request_refresh
from ami.jobs.lifecycle.cancel import cancel_job
from ami.jobs.lifecycle.cleanup import drop_queue_of_deleted
from ami.jobs.models import DataExport, Job
from ami.jobs.states import CANCELABLE, JobState
from ami.main.models import SourceImage

CAPTURE_GONE = "The capture was deleted while the job was running."


def delete_job(job: Job) -> None:
    """Cancel a job, then delete it with everything that is its own; predictions stay.

    Its row is locked first: whoever else works on what is deleted with it holds the row, too, and comes
    before or after, never across. Then the ledger, in the order in which everybody locks it.
    """
    job_id = job.pk
    cancel_job(job_id)
    with transaction.atomic():
        current = Job.objects.select_for_update(of=("self",)).filter(pk=job_id).first()
        if current is not None:
            ledger.lock_jobs([job_id])
            current.delete()
            if current.data_export_id is not None:
                DataExport.objects.filter(pk=current.data_export_id).delete()
    drop_queue_of_deleted(job_id)


def delete_jobs_of(**owner: Sequence[int]) -> None:
    """Delete all jobs of what is about to be deleted, such as `deployment_id__in=[7]`. Safe to run twice."""
    jobs = list(Job.objects.filter(**owner).order_by("pk"))
    _hold_in_order([job.pk for job in jobs])
    for job in jobs:
        delete_job(job)


def cancel_jobs_of_pipelines(pipeline_ids: Sequence[int]) -> None:
    """Cancel the jobs under way whose pipelines are about to be deleted: no worker could take their tasks.

    Safe to run twice.
    """
    under_way = CANCELABLE - {JobState.CREATED}
    found = Job.objects.filter(pipeline_id__in=pipeline_ids, status__in=under_way).order_by("pk")
    job_ids = list(found.values_list("pk", flat=True))
    _hold_in_order(job_ids)
    for job_id in job_ids:
        cancel_job(job_id, why="its pipeline is being deleted")


def fail_tasks_of_deleted(image_ids: Sequence[int]) -> None:
    """Fail the open images of all jobs that are about to lose these captures, and hold the captures.

    Call first in the transaction that deletes them, once for all of them. Who is saving results of them is
    waited for, so that their predictions are seen and deleted, too; who comes later finds no capture. Jobs
    that name a capture come first, because they will forget it, and jobs come before their ledger.
    """
    rows(
        "SELECT id FROM jobs_job WHERE source_image_single_id = ANY(%s) ORDER BY id FOR NO KEY UPDATE",
        [list(image_ids)],
    )
    for job_id in ledger.fail_deleted_captures(image_ids, CAPTURE_GONE):
        transaction.on_commit(lambda job_id=job_id: request_refresh(job_id))  # type: ignore[misc]
    execute(
        """SELECT count(*) FROM (SELECT id FROM main_sourceimage WHERE id = ANY(%s)
        ORDER BY id FOR UPDATE) AS held""",
        [list(image_ids)],
    )


def fail_tasks_of_deleted_projects(project_ids: Sequence[int]) -> None:
    """The same for all captures of projects."""
    captures = SourceImage.objects.filter(project_id__in=project_ids)
    fail_tasks_of_deleted(list(captures.values_list("pk", flat=True)))


def _hold_in_order(job_ids: Sequence[int]) -> None:
    """Within somebody's transaction, lock all jobs, then all their ledger rows, each in id order.

    There, what is done to one job after the other holds its locks to the end, and whoever works on tasks of
    several jobs at once would come across.
    """
    if connection.in_atomic_block:
        list(Job.objects.select_for_update(of=("self",)).filter(pk__in=job_ids).order_by("pk"))
        ledger.lock_jobs(job_ids)

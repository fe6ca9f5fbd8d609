"""clean up: delete the stream and the pending sets of a job that ended, and of no other.

The job's row is held while the stream is deleted, so that a retry cannot begin a new incarnation in between;
what cannot be deleted now, the zombie-stream check deletes later.
"""

from __future__ import annotations

import structlog
from django.db import transaction

from ami.base.errors import AmiError
from ami.jobs.models import Job
from ami.jobs.states import FINAL, DispatchMode
from ami.taskqueue import AsyncJobStateManager, PendingStateUnavailable, QueueError, TaskQueueManager

logger = structlog.get_logger(__name__)


def clean_up(job_id: int, run: int) -> bool:
    """Delete the queue of a job if it is final in this run; True when stream and sets are gone.

    Safe to run twice. Holds the job's row for at most one queue deadline; late posts do not wait for that.
    """
    with transaction.atomic():
        job = Job.objects.select_for_update(of=("self",), no_key=True).filter(pk=job_id).first()
        if job is None or job.status not in FINAL or job.run != run:
            return False
        return job.dispatch_mode != DispatchMode.ASYNC_API or _delete_queue(job_id)


def drop_queue_of_deleted(job_id: int) -> bool:
    """Delete the queue of a job whose row no longer exists."""
    return not Job.objects.filter(pk=job_id).exists() and _delete_queue(job_id)


def _delete_queue(job_id: int) -> bool:
    gone = True
    for delete in (TaskQueueManager().delete, lambda key: AsyncJobStateManager(key).delete()):
        try:
            delete(job_id)
        except (QueueError, PendingStateUnavailable) as error:
            gone = False
            _log_leftover(job_id, error)
    return gone


def _log_leftover(job_id: int, error: AmiError) -> None:
    logger.warning("cleanup.later", job_id=job_id, error=error.message)

"""finish: close a job once, when its ledger says that nothing is open; then clean up its queue."""

from __future__ import annotations

import structlog
from django.conf import settings

from ami.base.failpoints import hit
from ami.jobs import logs, transitions
from ami.jobs.lifecycle.cleanup import clean_up
from ami.jobs.models import Job
from ami.jobs.progress import Counts, verdict
from ami.jobs.states import JobState

logger = structlog.get_logger(__name__)


def finish_job(job_id: int, counts: Counts) -> bool:
    """Close the job with the verdict of `counts`; True if this call closed it.

    Decided from the ledger alone: the UPDATE itself checks that no row is open and that all captures are
    collected, so calling it too early or twice changes nothing.
    """
    run = Job.objects.filter(pk=job_id).values_list("run", flat=True).first()
    if run is None:
        return False
    ending = verdict(counts, settings.FAILURE_THRESHOLD)
    hit("finish.before_update")
    if not transitions.finish(job_id, run, ending):
        return False
    logs.write_one(
        job_id,
        "job.finished",
        _sentence(ending, counts),
        "INFO" if ending == JobState.SUCCESS else "ERROR",
        verdict=str(ending),
        total=counts.total,
        processed=counts.processed,
        failed=counts.failed,
        detections=counts.detections,
        classifications=counts.classifications,
    )
    hit("finish.before_cleanup")
    clean_up(job_id, run)
    return True


def _sentence(ending: JobState, counts: Counts) -> str:
    figures = (
        f"{counts.processed:,} of {counts.total:,} images processed, {counts.failed:,} failed, "
        f"{counts.detections:,} detections, {counts.classifications:,} classifications"
    )
    if ending == JobState.SUCCESS:
        return f"Job finished: {figures}."
    share = f"{settings.FAILURE_THRESHOLD:.0%}"
    return f"Job failed in the process stage: more than {share} of its images failed ({figures})."

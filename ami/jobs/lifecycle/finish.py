"""finish: close a job once, when its ledger says that nothing is open; then clean up its queue."""

from __future__ import annotations

import structlog
from django.conf import settings

from ami.base.failpoints import hit
from ami.jobs import logs, transitions
from ami.jobs.lifecycle.cleanup import clean_up
from ami.jobs.lifecycle.failures import failure_lines
from ami.jobs.models import Job
from ami.jobs.progress import Counts, verdict
from ami.jobs.states import JobState

logger = structlog.get_logger(__name__)


def finish_job(job: Job, counts: Counts) -> bool:
    """Close the job with the verdict of `counts`; True if this call closed it.

    `job` was read before `counts` were counted: in that run, and with all captures collected, "nothing open"
    stays true, so the verdict cannot be outdated. The UPDATE checks it all again; calling this too early or
    twice changes nothing.
    """
    if job.collected_at is None or counts.open:
        return False
    job_id, run = job.pk, job.run
    ending = verdict(counts, settings.FAILURE_THRESHOLD)
    hit("finish.before_update")
    if not transitions.finish(job_id, run, ending):
        return False
    logs.write(job_id, [*failure_lines(job_id, counts.failed), _verdict_line(ending, counts)])
    hit("finish.before_cleanup")
    clean_up(job_id, run)
    return True


def _verdict_line(ending: JobState, counts: Counts) -> logs.Line:
    return logs.Line(
        "job.finished",
        _sentence(ending, counts),
        "INFO" if ending == JobState.SUCCESS else "ERROR",
        {
            "verdict": str(ending),
            "total": counts.total,
            "processed": counts.processed,
            "failed": counts.failed,
            "detections": counts.detections,
            "classifications": counts.classifications,
        },
    )


def _sentence(ending: JobState, counts: Counts) -> str:
    figures = (
        f"{counts.processed:,} of {counts.total:,} images processed, {counts.failed:,} failed, "
        f"{counts.detections:,} detections, {counts.classifications:,} classifications"
    )
    if ending == JobState.SUCCESS:
        return f"Job finished: {figures}."
    share = f"{settings.FAILURE_THRESHOLD:.0%}"
    return f"Job failed in the process stage: more than {share} of its images failed ({figures})."

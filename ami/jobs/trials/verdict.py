"""Whether the end of a job is exact: the ledger is counted, and everything else has to agree with it."""

from __future__ import annotations

from collections.abc import Iterator

from ami.jobs import ledger
from ami.jobs.invariants import check, leftovers
from ami.jobs.models import InboxEntry, Job
from ami.jobs.states import JobState
from ami.taskqueue import PendingStateUnavailable, QueueError


def problems(job: Job, captures: int) -> list[str]:
    """What is not as it should be, a sentence each; empty for an ended job whose numbers are exact.

    `captures`: how many the job was meant to have. Safe to run at any time.
    """
    return list(_problems(job, captures))


def _problems(job: Job, captures: int) -> Iterator[str]:
    counts = ledger.count(job.pk)
    if counts.total != captures:
        yield f"The ledger has {counts.total:,} images; the capture set had {captures:,}."
    if counts.open:
        yield f"{counts.open:,} images have no outcome."
    if counts.cancelled and job.status != JobState.REVOKED:
        yield f"{counts.cancelled:,} images are cancelled, and the job is not."
    if waiting := InboxEntry.objects.filter(job=job).count():
        yield f"{waiting:,} rows of accepted results are left in the inbox."
    for violation in check([job.pk], at_rest=True):
        yield f"{violation.invariant} does not hold: {violation.text}."
    yield from _leftovers(job.pk)


def _leftovers(job_id: int) -> Iterator[str]:
    try:
        for violation in leftovers():
            if violation.job_id == job_id:
                yield f"{violation.invariant} does not hold: {violation.text}."
    except (QueueError, PendingStateUnavailable) as error:
        yield f"What the job left behind is not known: {error.message}"

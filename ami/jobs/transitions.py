"""The only writer of `Job.status`: each change is one conditional UPDATE; who loses the race does nothing.

Each function returns whether this call made the change. All are safe to run twice: the second call finds the
state already left and changes nothing. What ends a job also notes that its stages have to show it, so that a
caller who dies right afterwards is made up for by the dispatch check, and in the same transaction whom to
tell (`notices`).
"""

from __future__ import annotations

from typing import Any

from django.db import transaction
from django.db.models import Exists, F, OuterRef, Value
from django.db.models.functions import Coalesce, Now

from ami.jobs.models import Job, JobTask
from ami.jobs.notices import note_end
from ami.jobs.states import CANCELABLE, FINAL, OPEN, JobState, sources_of


def _move(
    job_id: int, sources: frozenset[JobState], target: JobState, in_run: int | None, **also: Any
) -> bool:
    jobs = Job.objects.filter(pk=job_id, status__in=sources)
    if in_run is not None:
        jobs = jobs.filter(run=in_run)
    return jobs.update(status=target, updated_at=Now(), **also) == 1


def submit(job_id: int) -> bool:
    """CREATED → PENDING: the job waits for its dispatch."""
    return _move(job_id, frozenset({JobState.CREATED}), JobState.PENDING, None, scheduled_at=Now())


def start(job_id: int, run: int) -> bool:
    """PENDING → STARTED: from now on workers may ask for its tasks."""
    return _move(
        job_id,
        sources_of(JobState.STARTED),
        JobState.STARTED,
        run,
        started_at=Coalesce(F("started_at"), Now()),
        finished_at=Value(None),
    )


def finish(job_id: int, run: int, verdict: JobState) -> bool:
    """Running → SUCCESS or FAILURE, if no ledger row is open and all captures are collected.

    The caller decided the verdict from the ledger in the same step; this statement checks again that nothing
    was opened meanwhile.
    """
    still_open = JobTask.objects.filter(job_id=OuterRef("pk"), status__in=OPEN)
    jobs = Job.objects.filter(
        ~Exists(still_open), pk=job_id, run=run, status__in=sources_of(verdict), collected_at__isnull=False
    )
    with transaction.atomic():
        if jobs.update(status=verdict, finished_at=Now(), refresh_due_at=Now(), updated_at=Now()) != 1:
            return False
        note_end(job_id)
    return True


def cancel(job_id: int) -> bool:
    """Anything not final → REVOKED. Call inside the transaction that cancels the pending rows."""
    if not _move(job_id, CANCELABLE, JobState.REVOKED, None, finished_at=Now(), refresh_due_at=Now()):
        return False
    note_end(job_id)
    return True


def reopen(job_id: int, run: int) -> bool:
    """Final → PENDING under the next run. Call inside the transaction that reopens the ledger rows."""
    return _move(
        job_id,
        FINAL,
        JobState.PENDING,
        run,
        run=F("run") + 1,
        driver="",
        driver_until=None,
        dispatch_seen=None,
        scheduled_at=Now(),
        started_at=None,
        finished_at=None,
    )

"""internal: a slice of a job that the platform does itself, step by step, under the driver claim.

Steps commit where they stand, so a slice that dies goes on there. What goes wrong is tried again after a
pause; a job whose slices come to nothing `MAX_TRIES` times in a row fails, and says why. One that waits for
something else, such as a bucket that does not answer, has `MAX_WAITS` times.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import structlog
from django.db import transaction
from django.db.models.functions import Now

from ami.base.database import rows
from ami.base.errors import AmiError
from ami.jobs import diagnostics, logs, transitions
from ami.jobs.interruptions import interruptions
from ami.jobs.lifecycle import claims, kinds
from ami.jobs.lifecycle.claims import Claim
from ami.jobs.lifecycle.kinds import Kind
from ami.jobs.lifecycle.work import ClaimLost, Work, read_stages, write_stages
from ami.jobs.models import Job
from ami.jobs.progress import Stage
from ami.jobs.states import FINAL, JobState

logger = structlog.get_logger(__name__)

MAX_TRIES = 5
MAX_WAITS = 60
"""About an hour of waiting for something that is away."""
PAUSE_SECONDS = 2.0
PAUSE_MAX_SECONDS = 60.0


def internal_slice(claim: Claim, out_of_time: Callable[[], bool]) -> float | None:
    """Seconds until the next slice should run, or None when there is nothing left for one.

    Safe to run again after a crash at any point: a step repeats only what it had not committed.
    """
    job = Job.objects.select_related("project").filter(pk=claim.job_id).first()
    if job is None:
        return None
    kind = kinds.find(job.job_type_key)
    if kind is None:
        _fail(claim, f"This server cannot carry out jobs of the type {job.job_type_key!r}.")
        return None
    tries = _count_try(claim)
    if tries > MAX_TRIES:
        _fail(claim, f"It came to nothing {MAX_TRIES} times in a row; the server's log says more.")
        return None
    work = Work(claim, job, read_stages(job.pk))
    try:
        if _carry_on(kind, work, out_of_time):
            return 0.0
    except ClaimLost:
        return None
    except interruptions():
        return 0.0
    except Exception as error:  # noqa: BLE001 - whatever it is, the job must end or go on
        return _stumble(claim, error, tries)
    _end(claim, JobState.SUCCESS)
    return None


def _carry_on(kind: Kind, work: Work, out_of_time: Callable[[], bool]) -> bool:
    """Step until the end, or until the time is over; whether there is more to do."""
    while kind.step(work):
        if out_of_time():
            return True
    return False


def _stumble(claim: Claim, error: Exception, tries: int) -> float | None:
    """What becomes of a job whose step raised: seconds until it is tried again, or None as it failed."""
    if isinstance(error, AmiError):
        why, give_up = error.message, error.permanent
        tries = _count_wait(claim)
        give_up = give_up or tries > MAX_WAITS
    else:
        logger.error("internal.step_failed", job_id=claim.job_id, exc_info=error)
        why, give_up = f"{type(error).__name__}: {error}", tries >= MAX_TRIES
    if give_up:
        _fail(claim, why)
        return None
    pause = min(PAUSE_SECONDS * 2.0 ** max(0, tries - 1), PAUSE_MAX_SECONDS)
    logs.write_one(claim.job_id, "job.paused", f"Tried again in {pause:g} s: {why}", "WARNING", tries=tries)
    return claims.rest(claim, pause)


def _count_wait(claim: Claim) -> int:
    """What is away is no fault of the job: how often it waited since the last step that committed."""
    found = rows(
        """UPDATE jobs_job SET work = work || jsonb_build_object('tries', 0,
            'waits', COALESCE((work->>'waits')::int, 0) + 1) WHERE id = %s AND driver = %s
        RETURNING (work->>'waits')::int""",
        [claim.job_id, claim.driver],
    )
    return int(found[0][0]) if found else 0


def _count_try(claim: Claim) -> int:
    """Note the beginning of a slice; which one it is since the last step that committed."""
    found = rows(
        """UPDATE jobs_job SET work = work || jsonb_build_object('tries',
            COALESCE((work->>'tries')::int, 0) + 1) WHERE id = %s AND driver = %s
        RETURNING (work->>'tries')::int""",
        [claim.job_id, claim.driver],
    )
    return int(found[0][0]) if found else 0


def _fail(claim: Claim, why: str) -> None:
    diagnostics.note(claim.job_id, why)
    logs.write_one(claim.job_id, "job.gave_up", why, "ERROR")
    _end(claim, JobState.FAILURE)
    kinds.abandon(claim.job_id)


def _end(claim: Claim, verdict: JobState) -> None:
    """End the job and its stages in one transaction, if it is still ours."""
    with transaction.atomic():
        if not claims.extend(claim):
            return
        write_stages(claim.job_id, [_ended(stage, verdict) for stage in read_stages(claim.job_id)])
        Job.objects.filter(pk=claim.job_id).update(collected_at=Now())
        transitions.finish(claim.job_id, claim.run, verdict)
    said = "Job finished." if verdict == JobState.SUCCESS else "Job failed."
    logs.write_one(claim.job_id, "job.finished", said, "INFO" if verdict == JobState.SUCCESS else "ERROR")


def _ended(stage: Stage, verdict: JobState) -> Stage:
    if stage.status in FINAL:
        return stage
    return replace(stage, status=verdict, progress=1.0 if verdict == JobState.SUCCESS else stage.progress)

"""dispatch: carry a job on, in slices of at most a minute under the driver claim.

Images are collected, then published for workers that pull, or pushed to a service; internal jobs have steps
of their own.
"""

from __future__ import annotations

import time

import structlog
from django.conf import settings
from django.db import transaction
from django.db.models.functions import Now

from ami.base import clock
from ami.base.errors import InvalidInput
from ami.base.failpoints import hit
from ami.jobs import ledger, logs, transitions
from ami.jobs.dispatcher import dispatcher
from ami.jobs.lifecycle import claims
from ami.jobs.lifecycle.advance import refresh_job
from ami.jobs.lifecycle.claims import Claim
from ami.jobs.lifecycle.collect import collect_chunk
from ami.jobs.lifecycle.internal import internal_slice
from ami.jobs.lifecycle.publish import publish_slice
from ami.jobs.lifecycle.push import push_slice
from ami.jobs.models import Job
from ami.jobs.states import DispatchMode, JobState
from ami.taskqueue import QueueError

logger = structlog.get_logger(__name__)

QUEUE_RETRY_SECONDS = 5.0


def dispatch_job(job_id: int) -> None:
    """Run one slice for a job; who does not get the claim does nothing. Safe to run any number of times."""
    claim = claims.take(job_id)
    if claim is None:
        return
    follow_up: float | None = None
    try:
        follow_up = _slice(claim)
    except QueueError as error:
        logger.warning("dispatch.queue_unavailable", job_id=job_id, error=error.message)
        follow_up = QUEUE_RETRY_SECONDS
    finally:
        claims.release(claim)
    if follow_up is not None:
        dispatcher().dispatch(job_id, delay=follow_up)
    refresh_job(job_id)


def _slice(claim: Claim) -> float | None:
    """Seconds until the next slice should run, or None when there is nothing left for one."""
    started = time.monotonic()

    def out_of_time() -> bool:
        return time.monotonic() - started > settings.DISPATCH_SLICE_SECONDS

    job = Job.objects.filter(pk=claim.job_id).first()
    if job is None:
        return None
    waiting = delay_left(job)
    if waiting > 0:
        return waiting
    if transitions.start(claim.job_id, claim.run):
        logs.write_one(claim.job_id, "job.started", f"Job started (run {claim.run}).", run=claim.run)
    if job.dispatch_mode == DispatchMode.INTERNAL:
        return internal_slice(claim, out_of_time)
    while job.collected_at is None and not out_of_time():
        if not _collect(claim):
            break
    if not Job.objects.filter(pk=claim.job_id, collected_at__isnull=False).exists():
        return 0
    if job.dispatch_mode == DispatchMode.SYNC_API:
        return push_slice(claim, out_of_time)
    return 0 if publish_slice(claim, out_of_time) else None


def _collect(claim: Claim) -> bool:
    try:
        return collect_chunk(claim)
    except InvalidInput as error:
        logs.write_one(claim.job_id, "job.nothing_to_collect", error.message, "ERROR")
        _end_without_captures(claim)
        return False


def _end_without_captures(claim: Claim) -> None:
    """What the job was about is gone: it goes on with the images that it has, or fails if it has none.

    In one transaction: a job that is collected, and empty, would end well.
    """
    with transaction.atomic():
        if not claims.hold_while_collecting(claim):
            return
        Job.objects.filter(pk=claim.job_id).update(collected_at=Now())
        hit("dispatch.collected_nothing")
        if not ledger.count(claim.job_id).total:
            transitions.finish(claim.job_id, claim.run, JobState.FAILURE)
    hit("dispatch.ended_without_captures")


def delay_left(job: Job) -> float:
    """Seconds that the job asked to wait and has not waited yet."""
    if not job.delay or job.scheduled_at is None or job.started_at is not None:
        return 0.0
    return job.delay - (clock.now() - job.scheduled_at).total_seconds()

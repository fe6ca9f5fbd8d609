"""pending sets: the Redis index of every running job is compared with the ledger, and rebuilt if it differs.

The index follows the ledger with a delay, so only what the delay cannot explain counts as a difference: an
open image that the index does not know, or one in the index whose outcome is known for a while. Images are
compared one by one in jobs of ordinary size, by their number in large ones.
"""

from __future__ import annotations

import structlog
from django.db.models import Q
from django.db.models.functions import Now

from ami.base.database import rows
from ami.jobs.health.report import Report
from ami.jobs.lifecycle.publish import rebuild_pending_sets
from ami.jobs.models import Job
from ami.jobs.states import SERVING, DispatchMode
from ami.taskqueue import AsyncJobStateManager, PendingSnapshot, PendingStateUnavailable

logger = structlog.get_logger(__name__)

FOLLOWS_WITHIN = 60.0
"""Seconds after which the index has heard of an outcome, or never will."""

COMPARED_ONE_BY_ONE = 20_000
"""Open images up to which they are."""


def check_pending_sets(*, dry_run: bool = False) -> Report:
    """Look at every job that hands out tasks and is not being dispatched. Safe to run twice."""
    report = Report()
    idle = Q(driver_until__isnull=True) | Q(driver_until__lt=Now())
    jobs = Job.objects.filter(
        idle,
        status__in=SERVING,
        dispatch_mode=DispatchMode.ASYNC_API,
        collected_at__isnull=False,
        queue_epoch__gt=0,
    )
    for job in jobs.order_by("pk").only("pk", "run", "queue_epoch"):
        report.checked += 1
        try:
            if not _differs(job) or not _is_same_still(job):
                continue
            if not dry_run:
                rebuild_pending_sets(job.pk)
        except PendingStateUnavailable as error:
            report.unfixable += 1
            logger.warning("health.pending_sets_unavailable", job_id=job.pk, error=error.message)
            break  # the next job would only hear the same
        report.fixed += 1
    return report


def _is_same_still(job: Job) -> bool:
    """Whether neither a retry nor a new queue came between: they write the index anew themselves."""
    return Job.objects.filter(
        pk=job.pk, run=job.run, queue_epoch=job.queue_epoch, status__in=SERVING
    ).exists()


def _differs(job: Job) -> bool:
    """Whether the index is missing or wrong. The index is read first: it only loses images while we look."""
    state = AsyncJobStateManager(job.pk)
    known = state.snapshot()
    if known is None:
        return True
    by_id = known.results <= COMPARED_ONE_BY_ONE
    indexed = state.pending_ids("results") if by_id else set()
    total, open_now, settled_lately, failed = rows(
        """SELECT count(*), count(*) FILTER (WHERE status IN (0, 1)), count(*) FILTER (WHERE status > 1
            AND finished_at > clock_timestamp() - make_interval(secs => %(within)s)),
            count(*) FILTER (WHERE status = 3)
        FROM jobs_jobtask WHERE job_id = %(job)s""",
        {"job": job.pk, "within": FOLLOWS_WITHIN},
    )[0]
    if _counts_differ(known, total, open_now, settled_lately, failed):
        return True
    return by_id and open_now <= COMPARED_ONE_BY_ONE and _images_differ(job.pk, indexed)


def _counts_differ(known: PendingSnapshot, total: int, open_now: int, lately: int, failed: int) -> bool:
    return (
        known.total != total
        or known.results < open_now
        or known.results > open_now + lately
        or known.process > known.results
        or known.failed > failed
    )


def _images_differ(job_id: int, indexed: set[int]) -> bool:
    found = rows(
        """SELECT image_id, status IN (0, 1) FROM jobs_jobtask WHERE job_id = %(job)s AND (status IN (0, 1)
            OR finished_at > clock_timestamp() - make_interval(secs => %(within)s))""",
        {"job": job_id, "within": FOLLOWS_WITHIN},
    )
    explained = {image for image, _ in found}
    still_open = {image for image, is_open in found if is_open}
    return bool(still_open - indexed) or bool(indexed - explained)

"""What to watch after something was broken: what heals it, and by when."""

from __future__ import annotations

from django.conf import settings

from ami.jobs.tracing.checks import scheduled
from ami.jobs.tracing.phrases import number, span


def redis_lost() -> str:
    """Redis is empty."""
    inbox, dispatch, sets = scheduled("inbox"), scheduled("dispatch"), scheduled("pending_sets")
    return (
        f"What Celery lost is asked for again by {inbox.next}, and by {dispatch.next}. The pending sets are "
        f"rebuilt from the ledger with the next progress of each job, or by {sets.next}. Quotas begin anew. "
        "Watch the line Redis of manage.py trace_job ID."
    )


def queue_lost(job_id: int | None = None) -> str:
    """One queue, or all of them, are gone."""
    job = "ID" if job_id is None else str(job_id)
    return (
        f"The queue is rebuilt from the ledger by {scheduled('dispatch').next}, under the next epoch. What "
        f"workers hold stays good, and their results are taken. Watch manage.py trace_job {job}."
    )


def patience(images: int) -> str:
    """Leases begin to run out."""
    most = settings.NATS_MAX_DELIVER
    longest = span(most * settings.NATS_TASK_TTR)
    return f"Leasing {number(images, 'image')} up to {most} times in silence; this takes {longest}."


def exhausted(job_id: int) -> str:
    """Images failed for want of attempts."""
    return (
        "Nothing heals this by itself: after its end, a retry of the job repeats them. Their attempts: "
        f"manage.py trace_job {job_id} --image ID."
    )


def killed() -> str:
    """A process was killed in the middle of something."""
    inbox, dispatch = scheduled("inbox"), scheduled("dispatch")
    return (
        "Celery replaces a child at once, and the broker hands its task to another. A save or dispatch that "
        f"died keeps its claim for up to {span(settings.CLAIM_SECONDS)}; then {inbox.next}, or "
        f"{dispatch.next}, has it done again. Other processes come back if something starts them."
    )

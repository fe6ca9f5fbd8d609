"""Celery's entry points: ids in, one lifecycle call, nothing else; and the dispatcher that enqueues them.

Every task is safe to run twice (acks_late, and the broker may deliver twice), so none carries state. What is
logged meanwhile has the request that asked for it, and the job that it is about.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from billiard.exceptions import SoftTimeLimitExceeded
from celery import shared_task
from celery.signals import task_prerun
from django.db import connection
from structlog.contextvars import bound_contextvars

from ami.jobs.broker import send
from ami.jobs.dispatcher import install
from ami.jobs.health.runner import run_check
from ami.jobs.interruptions import register_interruption
from ami.jobs.lifecycle.advance import refresh_job
from ami.jobs.lifecycle.dispatch import dispatch_job
from ami.jobs.lifecycle.save import save_inbox_row
from ami.jobs.notifying.deliver import deliver_due
from ami.ml.services import check_push_services
from ami.ml.workers import SignOfLife, mark_silent_offline, write_sign_of_life

LONGEST_DELAY_SECONDS = 60.0
"""Redis hands out a waiting task a second time after its visibility timeout, so nothing may wait that long;
a slice that comes too early asks again."""


@task_prerun.connect
def use_a_living_connection(**_: object) -> None:
    """Database connections outlive tasks; have one that broke since the last task replaced, and not used."""
    connection.close_if_unusable_or_obsolete()


@shared_task(name="jobs.dispatch")
def dispatch(job_id: int, **_: object) -> None:
    """One slice of collecting and publishing."""
    with bound_contextvars(job_id=job_id):
        dispatch_job(job_id)


@shared_task(name="jobs.save")
def save(inbox_id: int, **_: object) -> None:
    """Save one inbox row."""
    save_inbox_row(inbox_id)


@shared_task(name="jobs.refresh")
def refresh(job_id: int, **_: object) -> None:
    """Project a job's progress and try to finish it."""
    with bound_contextvars(job_id=job_id):
        refresh_job(job_id)


@shared_task(name="jobs.health", expires=60)
def health(check: str, **_: object) -> None:
    """Run one health check."""
    run_check(check)


@shared_task(name="workers.seen", expires=60)
def seen(sign: dict[str, Any], **_: object) -> None:
    """Write down a sign of life of a worker."""
    write_sign_of_life(SignOfLife(**sign))


@shared_task(name="workers.offline", expires=60)
def offline(**_: object) -> None:
    """Turn workers and services offline that were not heard of for a while."""
    mark_silent_offline()


@shared_task(name="services.check", expires=30)
def services(**_: object) -> None:
    """Ask every push service whether it is there."""
    check_push_services()


@shared_task(name="jobs.notify", expires=60)
def notify(**_: object) -> None:
    """Tell people and webhooks which jobs ended."""
    deliver_due()


class CeleryDispatcher:
    """Asks Celery. A broker that is away costs little and is not an error: health checks ask again."""

    def dispatch(self, job_id: int, *, delay: float = 0) -> bool:
        """Enqueue a slice of dispatching."""
        return send(dispatch, job_id, queue="jobs", delay=min(delay, LONGEST_DELAY_SECONDS))

    def save(self, inbox_ids: list[int]) -> bool:
        """Enqueue the saving of inbox rows."""
        return all([send(save, inbox_id, queue="results") for inbox_id in inbox_ids])

    def refresh(self, job_id: int, *, delay: float = 0) -> bool:
        """Enqueue a refresh."""
        return send(refresh, job_id, queue="results", delay=delay)

    def seen(self, sign: SignOfLife) -> bool:
        """Enqueue the writing of a sign of life."""
        return send(seen, asdict(sign), queue="default")


install(CeleryDispatcher())
register_interruption(SoftTimeLimitExceeded)

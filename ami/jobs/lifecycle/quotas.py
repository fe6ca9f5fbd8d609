"""Quotas: how many open leases one worker, and one holder with all its workers, may have.

They keep one worker from holding everything while others wait. Counted in Redis (`taskqueue.open_leases`);
while Redis is away nobody is limited, and for a moment nobody asks it either.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import structlog
from django.conf import settings

from ami.jobs.lifecycle.holders import Worker
from ami.ml.models import lease_key
from ami.taskqueue import Lease, OpenLeases, PendingStateUnavailable

logger = structlog.get_logger(__name__)

LEAVE_ALONE_SECONDS = 5.0
_away_until = 0.0


@dataclass(frozen=True, slots=True)
class Room:
    """What a worker may still take (0 or more), and what it holds; without Redis it seems to hold nothing."""

    left: int
    in_hand: int


def room(worker: Worker) -> Room:
    """How many more tasks this worker may take now."""
    own = lease_key(worker.holder, worker.instance_id)
    limits = {
        worker.holder: settings.HOLDER_MAX_LEASES,
        own: settings.WORKER_MAX_LEASES,
    }
    counts: dict[str, int] = {}
    tolerate(lambda: counts.update(OpenLeases().counts(list(limits))))
    left = max(0, min(limit - counts.get(key, 0) for key, limit in limits.items()))
    return Room(left, counts.get(own, 0))


def note_taken(worker: Worker, leases: Sequence[Lease]) -> None:
    """The worker took these, or extended them. Never raises."""
    if leases:
        tolerate(lambda: OpenLeases().add(_keys(worker), leases, seconds=settings.NATS_TASK_TTR))


def note_returned(worker: Worker, leases: Sequence[Lease]) -> None:
    """The worker answered these, gave them back, or heard that they are over. Never raises."""
    if leases:
        tolerate(lambda: OpenLeases().remove(_keys(worker), leases))


def _keys(worker: Worker) -> list[str]:
    return [worker.holder, lease_key(worker.holder, worker.instance_id)]


def forget_outage() -> None:
    """Ask Redis again at once."""
    global _away_until
    _away_until = 0.0


def tolerate(call: Callable[[], object]) -> None:
    """Do this in Redis, or leave it; for a moment after an outage Redis is not asked. Never raises."""
    global _away_until
    if time.monotonic() < _away_until:
        return
    try:
        call()
    except PendingStateUnavailable as error:
        _away_until = time.monotonic() + LEAVE_ALONE_SECONDS
        logger.warning("quotas.unavailable", error=error.message)

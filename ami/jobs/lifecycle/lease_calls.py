"""extend and release: what a worker says about leases that it holds.

Both act only on the lease in force (the run and attempt of the token, on a pending row), so a stale token
changes nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import structlog
from django.conf import settings
from django.db import transaction

from ami.jobs import ledger
from ami.jobs.ledger import LockedTask
from ami.jobs.states import TaskState
from ami.taskqueue import Action, InProgress, Lease, Nak, QueueError, TaskQueueManager

logger = structlog.get_logger(__name__)


class LeaseState(StrEnum):
    """What became of a lease."""

    HELD = "held"
    RELEASED = "released"
    CANCELLED = "cancelled"
    LOST = "lost"


@dataclass(frozen=True, slots=True)
class LeaseAnswer:
    """The state of one lease after the call; `cancelled` tells the worker to stop."""

    lease: Lease
    state: LeaseState

    @property
    def cancelled(self) -> bool:
        """Whether the job ended."""
        return self.state is LeaseState.CANCELLED


def extend(leases: Sequence[Lease]) -> list[LeaseAnswer]:
    """Hold leases for another full lease time. Safe to run any number of times."""
    with transaction.atomic():
        tasks = ledger.lock_many([(lease.job_id, lease.image_id) for lease in leases])
        held = [lease for lease in leases if _in_force(lease, tasks.get((lease.job_id, lease.image_id)))]
        ledger.extend(
            [tasks[lease.job_id, lease.image_id].id for lease in held], seconds=settings.NATS_TASK_TTR
        )
    _tell([InProgress(lease.delivery) for lease in held])
    return [_answer(lease, tasks, held, LeaseState.HELD) for lease in leases]


def release(leases: Sequence[Lease]) -> list[LeaseAnswer]:
    """Give leases back unused: images are free at once, attempts do not count. Safe to run twice."""
    with transaction.atomic():
        tasks = ledger.lock_many([(lease.job_id, lease.image_id) for lease in leases])
        held = [lease for lease in leases if _in_force(lease, tasks.get((lease.job_id, lease.image_id)))]
        ledger.release([tasks[lease.job_id, lease.image_id].id for lease in held])
    _tell([Nak(lease.delivery, 0) for lease in held])
    return [_answer(lease, tasks, held, LeaseState.RELEASED) for lease in leases]


def _in_force(lease: Lease, task: LockedTask | None) -> bool:
    return (
        task is not None
        and task.status == TaskState.PENDING
        and task.leased
        and (task.run, task.attempt) == (lease.run, lease.attempt)
    )


def _answer(
    lease: Lease,
    tasks: dict[tuple[int, int], LockedTask],
    held: Sequence[Lease],
    state: LeaseState,
) -> LeaseAnswer:
    if lease in held:
        return LeaseAnswer(lease, state)
    task = tasks.get((lease.job_id, lease.image_id))
    if task is None or task.status == TaskState.CANCELLED:
        return LeaseAnswer(lease, LeaseState.CANCELLED)
    return LeaseAnswer(lease, LeaseState.LOST)


def _tell(actions: Sequence[Action]) -> None:
    if not actions:
        return
    try:
        TaskQueueManager().settle(actions)
    except QueueError as error:
        logger.info("leases.not_told", count=len(actions), error=error.message)

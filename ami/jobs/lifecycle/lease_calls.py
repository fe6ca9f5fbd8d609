"""extend and release: what a worker says about leases that it holds.

Both act only on the lease in force (the run and attempt of the token, on a pending row), so a stale token
changes nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

import structlog
from django.conf import settings
from django.db import transaction

from ami.jobs import ledger
from ami.jobs.ledger import LockedTask
from ami.jobs.lifecycle import quotas
from ami.jobs.lifecycle.announce import announce
from ami.jobs.lifecycle.holders import Worker
from ami.jobs.models import Job
from ami.jobs.states import FINAL, TaskState
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


def extend(leases: Sequence[Lease], worker: Worker) -> list[LeaseAnswer]:
    """Hold leases for another full lease time; an answer each. Safe to run any number of times."""

    def hold(task_ids: Sequence[int]) -> None:
        ledger.extend(task_ids, seconds=settings.NATS_TASK_TTR)

    held, answers = _answered(leases, hold, LeaseState.HELD)
    _tell([InProgress(lease.delivery) for lease in held if lease.delivery])
    quotas.note_taken(worker, held)
    quotas.note_returned(worker, _gone(answers))
    return answers


def release(leases: Sequence[Lease], worker: Worker) -> list[LeaseAnswer]:
    """Give leases back unused: images are free at once, attempts do not count. Safe to run twice."""
    held, answers = _answered(leases, ledger.release, LeaseState.RELEASED)
    _tell([Nak(lease.delivery, 0) for lease in held if lease.delivery])
    quotas.note_returned(worker, leases)
    announce(Counter(lease.job_id for lease in held))
    return answers


def on_those_in_force(leases: Sequence[Lease], act: Callable[[Sequence[int]], None]) -> list[Lease]:
    """Do something with the ledger rows of those leases that are in force, in one transaction; which ones."""
    return _split(leases, act)[0]


def _answered(
    leases: Sequence[Lease], act: Callable[[Sequence[int]], None], state: LeaseState
) -> tuple[list[Lease], list[LeaseAnswer]]:
    held, tasks = _split(leases, act)
    in_force = set(held)
    others = [lease for lease in leases if lease not in in_force]
    ended = _ended({lease.job_id for lease in others})
    return held, [
        LeaseAnswer(lease, state if lease in in_force else _why_not(lease, tasks, ended)) for lease in leases
    ]


def _split(
    leases: Sequence[Lease], act: Callable[[Sequence[int]], None]
) -> tuple[list[Lease], dict[tuple[int, int], LockedTask]]:
    with transaction.atomic():
        tasks = ledger.lock_many([(lease.job_id, lease.image_id) for lease in leases])
        held = [lease for lease in leases if _in_force(lease, tasks.get((lease.job_id, lease.image_id)))]
        act([tasks[lease.job_id, lease.image_id].id for lease in held])
    return held, tasks


def _in_force(lease: Lease, task: LockedTask | None) -> bool:
    return (
        task is not None
        and task.status == TaskState.PENDING
        and task.leased
        and (task.run, task.attempt) == (lease.run, lease.attempt)
    )


def _why_not(lease: Lease, tasks: dict[tuple[int, int], LockedTask], ended: set[int]) -> LeaseState:
    task = tasks.get((lease.job_id, lease.image_id))
    if task is None or task.status == TaskState.CANCELLED or lease.job_id in ended:
        return LeaseState.CANCELLED
    return LeaseState.LOST


def _ended(job_ids: Iterable[int]) -> set[int]:
    wanted = list(job_ids)
    if not wanted:
        return set()
    return set(Job.objects.filter(pk__in=wanted, status__in=FINAL).values_list("pk", flat=True))


def _gone(answers: Sequence[LeaseAnswer]) -> list[Lease]:
    return [answer.lease for answer in answers if answer.state is not LeaseState.HELD]


def _tell(actions: Sequence[Action]) -> None:
    if not actions:
        return
    try:
        TaskQueueManager().settle(actions)
    except QueueError as error:
        jobs = sorted({action.delivery.job_id for action in actions})
        logger.info("leases.not_told", job_ids=jobs, count=len(actions), error=error.message)

"""reserve: hand out tasks with a lease. NATS delivers, the ledger decides.

Every fetched message is judged by its ledger row, locked, in one transaction; only what that transaction
leased is handed out. What happens to the message follows from the row (the table in
docs/reference/lifecycle.md).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import structlog
from django.conf import settings
from django.db import Error, transaction

from ami.base.failpoints import hit
from ami.base.metrics.counted import RESERVED
from ami.jobs import ledger
from ami.jobs.ledger import Failure, LockedTask
from ami.jobs.lifecycle import last_chance, quotas
from ami.jobs.lifecycle.advance import request_refresh
from ami.jobs.lifecycle.holders import Worker
from ami.jobs.lifecycle.judging import Verdict, failure_of, judge, silent_attempt
from ami.jobs.lifecycle.last_chance import HELD_BACK_SECONDS
from ami.jobs.lifecycle.leases import signer
from ami.main.addresses import addresses
from ami.taskqueue import (
    Ack,
    Action,
    InProgress,
    Lease,
    Nak,
    QueueError,
    ReservedMessage,
    ReserveRequest,
    TaskQueueManager,
)

logger = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class ReservedTask:
    """One image in a worker's hands until its lease is over."""

    job_id: int
    image_id: int
    image_url: str
    token: str
    lease: Lease

    @property
    def attempt(self) -> int:
        """Which lease of this image in this run it is: 1 for the first."""
        return self.lease.attempt


@dataclass(frozen=True, slots=True)
class _Asking:
    """Who asks for tasks, under which address it reaches us, and how many images it holds already."""

    worker: Worker
    base_url: str
    in_hand: int


@dataclass(slots=True)
class _Decisions:
    """What one transaction decided about a fetched batch."""

    tasks: list[ReservedTask] = field(default_factory=list)
    actions: list[Action] = field(default_factory=list)
    failed_in: set[int] = field(default_factory=set)
    surplus: bool = False
    """Whether messages were fetched that nobody needs: copies, and those of images that are settled."""
    alone: bool = False
    """Whether the one task is to have no company."""


def reserve_tasks(requests: Sequence[ReserveRequest], *, worker: Worker, base_url: str) -> list[ReservedTask]:
    """Fetch and lease tasks for a worker; at most as many as the requests ask for, perhaps none.

    The caller checked that the jobs serve tasks and that the worker may have them. `base_url` makes links to
    local media absolute. Raises QueueUnavailable when NATS does not answer; not safe to repeat blindly (each
    call leases more), but what a lost answer leased comes back when the lease is over.
    """
    queue = TaskQueueManager()
    room = quotas.room(worker)
    asking = _Asking(worker, base_url, room.in_hand)
    requests = _within(requests, room.left)
    decided = _fetch_and_lease(queue, requests, asking)
    wanted = 0 if decided.alone else sum(request.count for request in requests)
    if decided.surplus and len(decided.tasks) < wanted:
        again = _still_wanted(requests, decided.tasks)
        decided.tasks += _fetch_more(queue, again, replace(asking, in_hand=room.in_hand + len(decided.tasks)))
    quotas.note_taken(worker, [task.lease for task in decided.tasks])
    _count(decided.tasks)
    return decided.tasks


def _count(tasks: Sequence[ReservedTask]) -> None:
    first = sum(task.lease.attempt == 1 for task in tasks)
    if first:
        RESERVED.inc("first", amount=first)
    if first < len(tasks):
        RESERVED.inc("again", amount=len(tasks) - first)


def _within(requests: Sequence[ReserveRequest], room: int) -> list[ReserveRequest]:
    """The requests, cut to what the worker may still take in all."""
    cut = []
    for request in requests:
        count = min(request.count, room)
        room -= count
        if count:
            cut.append(ReserveRequest(request.job_id, request.epoch, count))
    return cut


def _still_wanted(requests: Sequence[ReserveRequest], tasks: Sequence[ReservedTask]) -> list[ReserveRequest]:
    wanted = []
    got = Counter(task.job_id for task in tasks)
    for request in requests:
        missing = request.count - got[request.job_id]
        if missing > 0:
            wanted.append(ReserveRequest(request.job_id, request.epoch, missing))
    return wanted


def _fetch_more(
    queue: TaskQueueManager, requests: Sequence[ReserveRequest], asking: _Asking
) -> list[ReservedTask]:
    """What makes up for surplus messages; none if that fails, because the caller has leased tasks already."""
    try:
        return _fetch_and_lease(queue, requests, asking).tasks
    except (QueueError, Error) as error:
        jobs = [request.job_id for request in requests]
        logger.warning("reserve.no_more", job_ids=jobs, count=len(requests), error=repr(error)[:500])
        return []


def _fetch_and_lease(
    queue: TaskQueueManager, requests: Sequence[ReserveRequest], asking: _Asking
) -> _Decisions:
    messages = queue.reserve(requests)
    if not messages:
        return _Decisions()
    try:
        with transaction.atomic():
            decided = _decide(messages, asking)
            hit("reserve.before_commit")
    except BaseException:  # whatever it was, nothing is leased; the caller hears of it
        _settle(queue, [Nak(message.delivery, 0) for message in messages])
        raise
    hit("reserve.after_commit")
    _settle(queue, decided.actions)
    for job_id in decided.failed_in:
        request_refresh(job_id)
    return decided


def _settle(queue: TaskQueueManager, actions: Sequence[Action]) -> None:
    """Tell NATS; what it does not hear, it delivers again, and the ledger says the same then."""
    if not actions:
        return
    try:
        queue.settle(actions)
    except QueueError as error:
        jobs = sorted({action.delivery.job_id for action in actions})
        logger.warning("reserve.not_settled", job_ids=jobs, count=len(actions), error=error.message)


def _decide(messages: Sequence[ReservedMessage], asking: _Asking) -> _Decisions:
    """Judge and lease inside the caller's transaction."""
    tasks = ledger.lock_many(list(dict.fromkeys((message.job_id, message.image_id) for message in messages)))
    urls = addresses({message.image_id for message in messages}, asking.base_url)
    judged = [_judged(message, tasks, urls) for message in messages]
    suspects = _with(Verdict.LAST_CHANCE, judged)
    chosen = last_chance.pick(suspects, _with(Verdict.HAND_OUT, judged), asking.in_hand)
    decided = _Decisions(alone=any(task.id in chosen for task in suspects))
    leased: dict[int, tuple[LockedTask, ReservedMessage]] = {}
    failures: dict[int, Failure] = {}
    for message, task, verdict in judged:
        if task is None or verdict is Verdict.SETTLED:
            decided.actions.append(Ack(message.delivery))
            decided.surplus = True
        elif task.id in leased:
            decided.actions.append(Nak(message.delivery, settings.NATS_TASK_TTR))
            decided.surplus = True
        elif task.id in chosen:
            leased[task.id] = (task, message)
        elif verdict in (Verdict.HAND_OUT, Verdict.LAST_CHANCE):  # for somebody else
            decided.actions.append(Nak(message.delivery, 0 if decided.alone else HELD_BACK_SECONDS))
        elif verdict is Verdict.WAIT:
            decided.actions.append(Nak(message.delivery, max(task.lease_left, task.wait_left)))
        elif verdict is Verdict.BEING_SAVED:
            decided.actions.append(InProgress(message.delivery))
        else:
            failures[task.id] = failure_of(verdict, task)
            decided.actions.append(Ack(message.delivery))
    ledger.note_attempts(
        silent_attempt(task, settings.NATS_TASK_TTR) for task, _ in leased.values() if task.lease_ran_out
    )
    ledger.fail(list(failures.values()))
    decided.failed_in = {failure.task.job_id for failure in failures.values()}
    decided.tasks = _lease(list(leased.values()), asking.worker, urls)
    return decided


_Judged = tuple[ReservedMessage, LockedTask | None, Verdict]


def _judged(
    message: ReservedMessage, tasks: Mapping[tuple[int, int], LockedTask], urls: Mapping[int, str]
) -> _Judged:
    task = tasks.get((message.job_id, message.image_id))
    return message, task, judge(task, message.run, urls.get(message.image_id), settings.NATS_MAX_DELIVER)


def _with(wanted: Verdict, judged: Sequence[_Judged]) -> list[LockedTask]:
    return [task for _, task, verdict in judged if task is not None and verdict is wanted]


def _lease(
    chosen: Sequence[tuple[LockedTask, ReservedMessage]], worker: Worker, urls: dict[int, str]
) -> list[ReservedTask]:
    attempts = ledger.lease(
        [task.id for task, _ in chosen],
        worker=worker.name,
        instance_id=worker.instance_id,
        seconds=settings.NATS_TASK_TTR,
    )
    sign = signer().sign
    tasks = []
    for task, message in chosen:
        lease = Lease(
            task.job_id, task.run, task.image_id, attempts[task.id], worker.holder, message.delivery
        )
        tasks.append(ReservedTask(task.job_id, task.image_id, urls[task.image_id], sign(lease), lease))
    return tasks

"""hand out: tasks over all jobs that a worker can serve, fairly; waits for them if it is asked to.

A waiting call holds a thread and nothing else: no database connection, no transaction, no pull at NATS. It is
woken when tasks come up (published, given back, released), and looks by itself when the next lease ends.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import structlog
from django.conf import settings
from django.db import Error, connection

from ami.jobs.lifecycle import turns
from ami.jobs.lifecycle.holders import Worker
from ami.jobs.lifecycle.openings import forget_drained, next_opening
from ami.jobs.lifecycle.reserve import ReservedTask, reserve_tasks
from ami.jobs.lifecycle.turns import Candidate, Reach
from ami.taskqueue import QueueError, ReserveRequest, Waiter, wakeups

logger = structlog.get_logger(__name__)

LOOK_AGAIN_SECONDS = 10.0
"""A waiter that is not woken looks by itself: a wake-up may get lost."""

SOON_SECONDS = 0.1
"""The ledger says that something is free, but the queue did not hand it out yet: it will in a moment."""

SOON_MAX_SECONDS = 2.0
"""Unless that takes longer (not published yet, or a quota is used up): each look comes later, up to this."""

_ROUNDS = 3


class Crowded(Exception):
    """As many calls wait in this process as may; this one does not wait."""


def hand_out(reach: Reach, wanted: int, *, worker: Worker, base_url: str) -> list[ReservedTask]:
    """Up to `wanted` tasks of the jobs within reach, without waiting; grouped by job.

    In the first round each job that takes part gives at most an equal share; what is missing then comes from
    the others, and from those that have more. Raises QueueUnavailable when NATS does not answer.
    """
    tasks, _ = _try(reach, wanted, worker, base_url)
    return tasks


def wait_for_tasks(
    reach: Reach,
    wanted: int,
    seconds: float,
    *,
    worker: Worker,
    base_url: str,
    still_there: Callable[[], bool] = lambda: True,
) -> list[ReservedTask]:
    """The same, but waits up to `seconds` for the first task to come up.

    `still_there` says whether the caller still listens, so that no tasks go to nobody. Raises Crowded at once
    when too many wait in this process already.
    """
    deadline = time.monotonic() + seconds
    hub = wakeups()
    if hub.count >= settings.LONG_POLL_MAX_WAITERS:
        raise Crowded
    soon = SOON_SECONDS
    with hub.waiting(_is_within(reach), wanted) as waiter:
        while still_there():
            tasks, opens_in = _try(reach, wanted, worker, base_url)
            left = deadline - time.monotonic()
            if tasks or left <= 0:
                return tasks
            if opens_in is None:
                opens_in, soon = soon, min(2 * soon, SOON_MAX_SECONDS)
            _sleep(waiter, min(left, opens_in))
    return []


def _sleep(waiter: Waiter, seconds: float) -> None:
    if not connection.in_atomic_block:
        connection.close()  # hundreds may wait: none of them keeps a connection
    forget_drained(waiter.wait(seconds))


def _try(reach: Reach, wanted: int, worker: Worker, base_url: str) -> tuple[list[ReservedTask], float | None]:
    """Tasks, and in how many seconds to look again if there are none; None: something is free, so soon."""
    jobs = turns.candidates(reach)
    working = turns.with_work(jobs, wanted)
    if not working:
        opens = next_opening(job.job_id for job in jobs)
        return [], LOOK_AGAIN_SECONDS if opens is None else min(LOOK_AGAIN_SECONDS, opens + SOON_SECONDS / 10)
    tasks = _rounds(working, wanted, worker, base_url)
    tasks = _grouped(tasks, working)
    _note_served(tasks)
    return tasks, None


def _note_served(tasks: Sequence[ReservedTask]) -> None:
    """Whose turn it was; if that cannot be noted, the tasks go out all the same."""
    jobs = list(dict.fromkeys(task.job_id for task in tasks))
    try:
        turns.note_served(jobs)
    except Error as error:
        logger.warning("hand_out.turn_not_noted", job_ids=jobs, error=repr(error)[:500])


def _rounds(working: Sequence[Candidate], wanted: int, worker: Worker, base_url: str) -> list[ReservedTask]:
    tasks: list[ReservedTask] = []
    givers = list(working)
    for _ in range(_ROUNDS):
        missing = wanted - len(tasks)
        if missing <= 0 or not givers:
            break
        asked = givers[: turns.takes_part(missing)]
        requests = _requests(asked, turns.shares(len(asked), missing), missing)
        try:
            got = reserve_tasks(requests, worker=worker, base_url=base_url)
        except (QueueError, Error):
            if not tasks:
                raise
            jobs = [job.job_id for job in asked]
            logger.warning("hand_out.no_more", job_ids=jobs, count=len(tasks), exc_info=True)
            break  # what an earlier round leased is handed out all the same
        tasks += got
        gave = {request.job_id: request.count for request in requests}
        for task in got:
            gave[task.job_id] -= 1
        givers = givers[len(asked) :] + [job for job in asked if gave.get(job.job_id) == 0]
    return tasks


def _requests(givers: Sequence[Candidate], share: int, missing: int) -> list[ReserveRequest]:
    requests = []
    for job in givers:
        if missing <= 0:
            break
        requests.append(ReserveRequest(job.job_id, job.epoch, min(share, missing)))
        missing -= share
    return requests


def _grouped(tasks: list[ReservedTask], working: Sequence[Candidate]) -> list[ReservedTask]:
    """Tasks of one job beside each other, jobs in the order of their turns."""
    place = {job.job_id: number for number, job in enumerate(working)}
    return sorted(tasks, key=lambda task: place[task.job_id])


def _is_within(reach: Reach) -> Callable[[str], bool]:
    def accepts(topic: str) -> bool:
        project, _, pipeline = topic.partition(".")
        return project.isdigit() and pipeline.isdigit() and reach.includes(int(project), int(pipeline))

    return accepts

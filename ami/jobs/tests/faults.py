"""Ways to break the small world on purpose: wiped and thinned queues, killed processes, races."""

from __future__ import annotations

import os
import signal
import threading
import traceback
import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from typing import Any, TypeVar

from django.db import connection, connections, transaction

from ami.base.database import execute, rows
from ami.base.failpoints import arm
from ami.embedded.nats import Nats
from ami.jobs.lifecycle.dispatch import dispatch_job
from ami.jobs.models import Job
from ami.taskqueue import AsyncJobStateManager, QueueError, TaskMessage, TaskQueueManager, api, from_settings
from ami.taskqueue.names import consumer_name, stream_name
from ami.taskqueue.redis_client import shared_client
from ami.taskqueue.runtime import runtime
from ami.taskqueue.tests.waiting import wait_for

T = TypeVar("T")

ANOTHER_COPY = 1_000_000
"""A `reopened` that no retry reaches: makes the message id of a surplus copy another one."""


def flush_redis() -> None:
    """Lose all of Redis: pending sets and what Celery was asked for."""
    shared_client().flushall()


def delete_stream(job: Job) -> None:
    """Lose a job's stream and consumer."""
    assert TaskQueueManager().delete(job.pk)


def delete_consumer(job: Job) -> None:
    """Lose only the consumer of a job's stream."""
    _ask_jetstream(f"CONSUMER.DELETE.{stream_name(job.pk)}.{consumer_name(job.pk, job.queue_epoch)}")


def lose_messages(job: Job, keep: int = 0) -> None:
    """Lose the oldest messages of a job's stream; `keep` stay."""
    _ask_jetstream(f"STREAM.PURGE.{stream_name(job.pk)}", {"keep": keep})


def publish_copies(job: Job, image_ids: Sequence[int], run: int = 1, tag: int = ANOTHER_COPY) -> None:
    """Put surplus copies of images into the stream, as a restored snapshot of the server would."""
    job.refresh_from_db()
    copies = [TaskMessage(image_id, run, tag) for image_id in image_ids]
    assert TaskQueueManager().publish(job.pk, job.queue_epoch, copies) == len(copies)


def bring_back(server: Nats) -> None:
    """Start or resume a NATS and wait until this process talks to it again."""
    if server.running:
        server.resume()
    else:
        server.start()
    wait_for(_queue_answers)


def _queue_answers() -> bool:
    try:
        TaskQueueManager().message_count(1)
    except QueueError:
        return False
    return True


def lose_claims() -> None:
    """Let every claim, on dispatches and inbox rows, be over, and the inbox rows be old."""
    execute(
        "UPDATE jobs_job SET driver_until = clock_timestamp() - interval '1 s' WHERE driver_until IS NOT NULL"
    )
    execute(
        """UPDATE jobs_inboxentry SET created_at = created_at - interval '1 hour',
        asked_at = asked_at - interval '1 hour',
        claimed_until = CASE WHEN claimed_until IS NULL THEN NULL
            ELSE clock_timestamp() - interval '1 s' END"""
    )


def carried_on(job: Job) -> Any:
    """The job after one slice more, whoever died before."""
    lose_claims()
    dispatch_job(job.pk)
    job.refresh_from_db()
    return job


def pending_sets(job: Job) -> tuple[set[int], set[int]]:
    """The images that Redis calls open in the stages process and results."""
    state = AsyncJobStateManager(job.pk)
    return state.pending_ids("process"), state.pending_ids("results")


def killed_at(point: str, work: Callable[[], object]) -> None:
    """Run `work` in a forked process that is killed (SIGKILL) when it reaches the failpoint.

    What the parent asserts afterwards is what a power cut at that step leaves behind.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # the parent's other threads play no part
        child = os.fork()
    if child == 0:
        _work_until_killed(point, work)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status), f"{point} was not reached: the work ended by itself"
    assert os.WTERMSIG(status) == signal.SIGKILL


def _work_until_killed(point: str, work: Callable[[], object]) -> None:
    """In the child: use connections of its own, keeping the parent's open and untouched."""
    inherited = connection.connection
    connection.connection = None
    try:
        with arm(point, lambda: os.kill(os.getpid(), signal.SIGKILL)):
            work()
    except BaseException:  # noqa: BLE001 - whatever it was, the test session must not go on in the child
        traceback.print_exc()
    finally:
        os._exit(0 if inherited is not None else 1)


def meanwhile(point: str, work: Callable[[], object]) -> AbstractContextManager[None]:
    """Do `work` whenever the failpoint is reached, in the thread that reaches it."""

    def act() -> None:
        work()

    return arm(point, act)


def run_into_a_timeout() -> None:
    """Have Postgres give up on a statement; the session stays usable."""
    with transaction.atomic():
        execute("SET LOCAL statement_timeout = '5ms'")
        execute("SELECT pg_sleep(30)")


class Gate:
    """Holds the first who comes until it is opened; everybody after that walks through.

    As the action of a failpoint it stops one thread at a step, while another overtakes it.
    """

    def __init__(self) -> None:
        """Closed, and nobody there."""
        self._first = threading.Lock()
        self.reached = threading.Event()
        self._opened = threading.Event()

    def __call__(self) -> None:
        """Wait here, if first."""
        if self._first.acquire(blocking=False):
            self.reached.set()
            assert self._opened.wait(20), "nobody opened the gate"

    def open(self) -> None:
        """Let the one who waits go on."""
        self._opened.set()


def together(*calls: Callable[[], T]) -> list[T]:
    """Run calls in threads of their own, with database connections of their own, started at one moment."""
    start = threading.Barrier(len(calls))

    def run(call: Callable[[], T]) -> T:
        start.wait(10)
        return alone(call)

    with ThreadPoolExecutor(len(calls)) as pool:
        return [future.result(30) for future in [pool.submit(run, call) for call in calls]]


def overtaken(point: str, slow: Callable[[], T], fast: Callable[[], object]) -> T:
    """Run `slow` up to the failpoint, then `fast`, which may have to wait for locks; return what `slow` does.

    `slow` goes on once `fast` is done or waits for a lock that `slow` holds.
    """
    gate = Gate()
    with arm(point, gate), ThreadPoolExecutor(2) as pool:
        first = pool.submit(alone, slow)
        wait_for(lambda: gate.reached.is_set() or first.done())
        assert gate.reached.is_set(), f"{point} was not reached: {first.exception() or first.result()}"
        second = pool.submit(alone, fast)
        wait_for(lambda: second.done() or somebody_waits_for_a_lock())
        gate.open()
        second.result(30)
        return first.result(30)


def somebody_waits_for_a_lock() -> bool:
    """Whether a session of this database (other tests use the same server) waits for another's row."""
    waiting = """SELECT count(*) FROM pg_locks WHERE NOT granted AND pid IN (SELECT l.pid FROM pg_locks l
        JOIN pg_database d ON d.oid = l.database WHERE d.datname = current_database())"""
    return bool(rows(waiting)[0][0])


def alone(call: Callable[[], T]) -> T:
    """Do something in a thread of its own, and leave no database connection behind."""
    try:
        return call()
    finally:
        connections.close_all()


def _ask_jetstream(call: str, body: dict[str, Any] | None = None) -> None:
    runtime(from_settings()).call(lambda link: api.request(link, call, body))

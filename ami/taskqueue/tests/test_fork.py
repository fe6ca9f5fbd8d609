"""A forked child makes its own connection and does its parent no harm."""

from __future__ import annotations

import multiprocessing
import subprocess
import sys
import threading
from collections.abc import Callable
from typing import TypeVar

import pytest
import redis

from ami.embedded.nats import Nats
from ami.taskqueue import QueueConfig, TaskQueueManager, event_loop, runtime
from ami.taskqueue.client import Connection
from ami.taskqueue.redis_client import shared_client
from ami.taskqueue.tests.common import fill, images, take
from ami.taskqueue.tests.waiting import freeze, stopwatch

pytestmark = [
    pytest.mark.integration,
    pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning"),
]

T = TypeVar("T")

FORK = multiprocessing.get_context("fork")


async def _client_id(connection: Connection) -> int | None:
    return connection.client.client_id


def _who_am_i(queue: TaskQueueManager) -> int | None:
    return runtime.runtime(queue.config).call(_client_id)


def _in_child(work: Callable[[], T]) -> T:
    """Run `work()` in a forked child and return what it returned."""
    receiver, sender = FORK.Pipe(duplex=False)
    child = FORK.Process(target=lambda: sender.send(work()))
    child.start()
    answered = receiver.poll(10.0)
    if not answered:
        child.kill()
    assert answered, "the child does not answer"
    answer: T = receiver.recv()
    child.join(10.0)
    assert child.exitcode == 0
    return answer


def test_parent_and_child_work_on_connections_of_their_own(queue: TaskQueueManager, job_id: int) -> None:
    fill(queue, job_id, range(1, 11))
    own = _who_am_i(queue)

    def work() -> tuple[int | None, list[int]]:
        return _who_am_i(queue), images(take(queue, job_id, 3))

    childs, taken = _in_child(work)
    assert own is not None
    assert childs not in (None, own)
    assert taken == [1, 2, 3]
    assert images(take(queue, job_id, 10)) == [4, 5, 6, 7, 8, 9, 10]
    assert _who_am_i(queue) == own


def test_a_fork_while_a_lock_is_held_does_not_hang_the_child(queue: TaskQueueManager, job_id: int) -> None:
    queue.create(job_id, 1)
    held, release = threading.Event(), threading.Event()

    def hold_all_locks() -> None:
        with event_loop._lock, runtime._lock, runtime.runtime(queue.config).breaker._lock:
            held.set()
            release.wait(20.0)

    holder = threading.Thread(target=hold_all_locks)
    holder.start()
    held.wait(5.0)
    try:
        assert _in_child(lambda: queue.exists(job_id, 1)) is True
    finally:
        release.set()
        holder.join()


def test_a_grandchild_works_too(queue: TaskQueueManager, job_id: int) -> None:
    queue.create(job_id, 1)
    assert _in_child(lambda: _in_child(lambda: queue.exists(job_id, 1))) is True


def test_a_child_uses_redis_on_a_connection_of_its_own(redis_client: redis.Redis, redis_url: str) -> None:
    own = redis_client.client_id()
    childs = _in_child(lambda: shared_client(redis_url).client_id())
    assert childs != own
    assert redis_client.client_id() == own


SCRIPT = """
import os, sys
from ami.taskqueue import QueueConfig, TaskQueueManager

queue = TaskQueueManager(QueueConfig(url=sys.argv[1]))
queue.create(900, 1)
for uses_the_queue in (False, True):
    child = os.fork()
    if child == 0:
        if uses_the_queue:
            assert queue.exists(900, 1)
        sys.exit(0)  # not os._exit: the whole interpreter is taken down, destructors and all
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert queue.exists(900, 1)
print("parent is well")
"""


def test_a_child_that_exits_in_order_does_not_disturb_its_parent(nats_url: str) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", SCRIPT, nats_url],
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert done.returncode == 0, done.stderr
    assert "parent is well" in done.stdout
    assert "Exception ignored" not in done.stderr
    assert "Traceback" not in done.stderr


def test_a_process_ends_in_good_time_even_when_the_server_is_frozen(lone_nats: Nats) -> None:
    script = SCRIPT.split("for uses")[0] + "print('ready', flush=True); input(); print('bye')"
    process = subprocess.Popen(
        [sys.executable, "-c", script, lone_nats.url],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    while "ready" not in process.stdout.readline():
        assert process.poll() is None
    freeze(lone_nats)
    seconds = stopwatch(lambda: process.communicate("\\n", timeout=20))
    lone_nats.resume()
    assert process.returncode == 0
    assert seconds < 3.0


def test_a_manager_made_before_the_fork_is_good_in_the_child(config: QueueConfig, job_id: int) -> None:
    queue = TaskQueueManager(config)
    assert _in_child(lambda: queue.exists(job_id, 1)) is False

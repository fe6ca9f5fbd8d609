"""NATS down, frozen, restarted: bounded waits, then immediate refusals, then recovery without help."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest

from ami.embedded.nats import Nats
from ami.taskqueue import Ack, QueueConfig, QueueError, QueueUnavailable, TaskQueueManager
from ami.taskqueue.tests.common import fill, images, take, tasks
from ami.taskqueue.tests.waiting import stopwatch, wait_for

pytestmark = pytest.mark.integration

TIMEOUT = 0.4
OPEN = 0.4


@pytest.fixture
def queue(own_nats: Nats) -> TaskQueueManager:
    return TaskQueueManager(
        QueueConfig(url=own_nats.url, operation_timeout=TIMEOUT, breaker_open_seconds=OPEN)
    )


def _fails(call: Callable[[], object]) -> float:
    def attempt() -> None:
        with pytest.raises(QueueUnavailable):
            call()

    return stopwatch(attempt)


def _works(call: Callable[[], object]) -> bool:
    try:
        call()
    except QueueUnavailable:
        return False
    return True


OPERATIONS: dict[str, Callable[[TaskQueueManager], object]] = {
    "create": lambda queue: queue.create(1, 2),
    "exists": lambda queue: queue.exists(1, 1),
    "publish": lambda queue: queue.publish(1, 1, tasks([1])),
    "reserve": lambda queue: take(queue, 1, 5),
    "delete": lambda queue: queue.delete(1),
    "consumer_state": lambda queue: queue.consumer_state(1, 1),
    "message_count": lambda queue: queue.message_count(1),
    "list_streams": lambda queue: queue.list_streams(),
    "redelivery_counts": lambda queue: queue.redelivery_counts([1]),
}


@pytest.mark.parametrize("operation", OPERATIONS)
def test_a_frozen_server_costs_one_timeout_and_then_nothing(
    operation: str, own_nats: Nats, queue: TaskQueueManager
) -> None:
    call = OPERATIONS[operation]
    fill(queue, 1, [1, 2])
    own_nats.pause()
    limit = TIMEOUT * (5 if operation in ("list_streams", "redelivery_counts") else 1)
    assert _fails(lambda: call(queue)) < limit + 0.3
    assert queue.is_unavailable
    assert all(_fails(lambda: call(queue)) < 0.005 for _ in range(20))


def test_settling_with_a_frozen_server_is_an_error_and_not_a_lie(
    own_nats: Nats, queue: TaskQueueManager
) -> None:
    fill(queue, 1, [1])
    actions = [Ack(message.delivery) for message in take(queue, 1, 1)]
    own_nats.pause()
    assert _fails(lambda: queue.settle(actions, deadline=0.2)) < 0.4


def test_settling_after_the_server_died_is_an_error_and_not_a_lie(
    own_nats: Nats, queue: TaskQueueManager
) -> None:
    fill(queue, 1, [1])
    actions = [Ack(message.delivery) for message in take(queue, 1, 1)]
    own_nats.kill()
    _fails(lambda: queue.settle(actions))
    own_nats.start()
    wait_for(lambda: not queue.is_unavailable)
    assert queue.message_count(1) == 1


def test_a_thawed_server_is_used_again_at_once(own_nats: Nats, queue: TaskQueueManager) -> None:
    fill(queue, 1, [1])
    own_nats.pause()
    _fails(lambda: queue.exists(1, 1))
    own_nats.resume()
    assert stopwatch(lambda: wait_for(lambda: _works(lambda: queue.exists(1, 1)), seconds=3.0)) < OPEN


def test_a_server_frozen_for_long_is_used_again_at_once(
    own_nats: Nats, queue: TaskQueueManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ami.taskqueue.client._PING_INTERVAL", 0.1)
    fill(queue, 1, [1])
    own_nats.pause()
    _fails(lambda: queue.exists(1, 1))  # by now the client has noticed by itself and tries to reconnect
    wait_for(lambda: _fails(lambda: queue.exists(1, 1)) < 0.005)
    own_nats.resume()
    assert stopwatch(lambda: wait_for(lambda: _works(lambda: queue.exists(1, 1)), seconds=3.0)) < 1.0


def test_a_restarted_server_is_used_again_at_once(own_nats: Nats, queue: TaskQueueManager) -> None:
    fill(queue, 1, [1, 2])
    own_nats.kill()
    _fails(lambda: queue.exists(1, 1))
    own_nats.start()
    assert stopwatch(lambda: wait_for(lambda: _works(lambda: queue.exists(1, 1)), seconds=3.0)) < 1.0
    assert images(take(queue, 1, 5)) == [1, 2]


def test_a_quick_restart_is_not_noticed_by_callers(own_nats: Nats) -> None:
    queue = TaskQueueManager(QueueConfig(url=own_nats.url, operation_timeout=5.0))
    fill(queue, 1, [1, 2])
    messages = take(queue, 1, 2)
    own_nats.kill()
    restart = threading.Timer(0.1, own_nats.start)
    restart.start()
    queue.settle([Ack(message.delivery) for message in messages])
    restart.join()
    wait_for(lambda: queue.message_count(1) == 0)


def test_while_the_server_is_frozen_probes_come_one_at_a_time(
    own_nats: Nats, queue: TaskQueueManager
) -> None:
    fill(queue, 1, [1])
    own_nats.pause()
    _fails(lambda: queue.exists(1, 1))
    slow: list[float] = []
    end = time.monotonic() + 5 * OPEN

    def hammer() -> None:
        while time.monotonic() < end:
            seconds = _fails(lambda: queue.exists(1, 1))
            if seconds > 0.05:
                slow.append(seconds)
            time.sleep(0.001)

    threads = [threading.Thread(target=hammer) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert 1 <= len(slow) <= 5  # one probe per open period, of all threads together
    assert max(slow) < 0.35  # a probe asks for a sign of life and nothing else


def test_eight_threads_in_an_outage_all_come_back_in_time(own_nats: Nats, queue: TaskQueueManager) -> None:
    fill(queue, 1, [1])
    own_nats.pause()
    waits: list[float] = []
    threads = [
        threading.Thread(target=lambda: waits.append(_fails(lambda: take(queue, 1, 1)))) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(waits) == 8
    assert max(waits) < TIMEOUT + 0.35


def test_what_was_fetched_before_the_server_froze_is_not_lost(own_nats: Nats) -> None:
    queue = TaskQueueManager(QueueConfig(url=own_nats.url, operation_timeout=1.0, max_ack_pending=50_000))
    count = 30_000
    fill(queue, 1, range(1, count + 1))
    got: list[int] = []
    freezer = threading.Timer(0.1, own_nats.pause)
    freezer.start()
    try:
        got = images(take(queue, 1, count))
    except QueueError:
        got = []
    freezer.join()
    own_nats.resume()
    wait_for(lambda: _works(lambda: queue.exists(1, 1)))
    assert len(got) == len(set(got))
    assert 0 < len(got) <= count


def test_a_wiped_store_is_seen_as_missing_and_not_as_an_outage(
    own_nats: Nats, queue: TaskQueueManager
) -> None:
    fill(queue, 1, [1])
    queue.delete(1)
    assert queue.exists(1, 1) is False
    assert queue.message_count(1) is None
    assert take(queue, 1, 1) == []
    assert not queue.is_unavailable

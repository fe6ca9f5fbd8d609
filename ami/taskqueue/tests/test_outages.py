"""NATS down, frozen, restarted: bounded waits, then immediate refusals, then recovery without help."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from functools import partial
from itertools import pairwise
from statistics import median

import pytest
from structlog.testing import capture_logs

from ami.embedded.nats import Nats
from ami.taskqueue import (
    Ack,
    DeliveryRef,
    QueueConfig,
    QueueUnavailable,
    ReservedMessage,
    TaskQueueManager,
    messages,
    runtime,
)
from ami.taskqueue.circuit_breaker import CircuitBreaker
from ami.taskqueue.tests.common import fill, images, take, take_all, tasks
from ami.taskqueue.tests.waiting import eventually, freeze, stopwatch, wait_for

pytestmark = pytest.mark.integration

TIMEOUT = 0.25
OPEN = 0.25
BOUND = 1.0  # seconds that a call may take in an outage, on a busy machine


@pytest.fixture
def queue(lone_nats: Nats) -> TaskQueueManager:
    return TaskQueueManager(
        QueueConfig(url=lone_nats.url, operation_timeout=TIMEOUT, breaker_open_seconds=OPEN)
    )


@pytest.fixture
def unforgiving(lone_nats: Nats) -> TaskQueueManager:
    """Its breaker would stay open for half a minute if only callers could close it."""
    return TaskQueueManager(
        QueueConfig(url=lone_nats.url, operation_timeout=TIMEOUT, breaker_open_seconds=30.0)
    )


def _fails(call: Callable[[], object]) -> float:
    def attempt() -> None:
        with pytest.raises(QueueUnavailable):
            call()

    return stopwatch(attempt)


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
    operation: str, lone_nats: Nats, queue: TaskQueueManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    call = OPERATIONS[operation]
    monkeypatch.setattr("ami.taskqueue.queue._LISTING_TIMEOUTS", 1.0)
    fill(queue, 1, [1, 2])
    freeze(lone_nats)
    assert _fails(lambda: call(queue)) < BOUND
    assert queue.is_unavailable
    assert median(_fails(lambda: call(queue)) for _ in range(5)) < 0.005


def test_settling_with_a_frozen_server_is_an_error_and_not_a_lie(
    lone_nats: Nats, queue: TaskQueueManager
) -> None:
    fill(queue, 1, [1])
    actions = [Ack(message.delivery) for message in take(queue, 1, 1)]
    freeze(lone_nats)
    assert _fails(lambda: queue.settle(actions, deadline=0.2)) < BOUND


def test_settling_after_the_server_died_is_an_error_and_not_a_lie(
    lone_nats: Nats, queue: TaskQueueManager
) -> None:
    fill(queue, 1, [1])
    actions = [Ack(message.delivery) for message in take(queue, 1, 1)]
    lone_nats.kill()
    _fails(lambda: queue.settle(actions))
    lone_nats.start()
    assert eventually(lambda: queue.message_count(1)) == 1


def test_what_a_call_asked_for_in_vain_is_handed_out_after_the_thaw(
    lone_nats: Nats, queue: TaskQueueManager
) -> None:
    everything = range(1, 51)
    for job_id in (1, 2, 3):
        fill(queue, job_id, everything)
        freeze(lone_nats)
        _fails(partial(take, queue, job_id, 50))
        lone_nats.resume()
        assert images(take_all(queue, job_id, len(everything))) == list(everything)


def test_a_thawed_server_is_used_again_at_once(lone_nats: Nats, unforgiving: TaskQueueManager) -> None:
    fill(unforgiving, 1, [1])
    freeze(lone_nats)
    _fails(lambda: unforgiving.exists(1, 1))
    lone_nats.resume()
    assert stopwatch(lambda: eventually(lambda: unforgiving.exists(1, 1))) < 1.0


def test_a_server_frozen_for_long_is_used_again_at_once(
    lone_nats: Nats, unforgiving: TaskQueueManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ami.taskqueue.client._PING_INTERVAL", 0.1)
    with capture_logs() as logs:
        fill(unforgiving, 1, [1])
        freeze(lone_nats)
        wait_for(lambda: any(entry["event"] == "taskqueue.disconnected" for entry in logs))
        wait_for(lambda: any("not answer" in entry.get("error", "") for entry in logs))  # to a reconnect
        _fails(lambda: unforgiving.exists(1, 1))
    lone_nats.resume()
    assert stopwatch(lambda: eventually(lambda: unforgiving.exists(1, 1))) < 1.0


def test_a_restarted_server_is_used_again_at_once(lone_nats: Nats, unforgiving: TaskQueueManager) -> None:
    fill(unforgiving, 1, [1, 2])
    lone_nats.kill()
    _fails(lambda: unforgiving.exists(1, 1))
    lone_nats.start()
    assert stopwatch(lambda: eventually(lambda: unforgiving.exists(1, 1))) < 1.0
    assert images(take(unforgiving, 1, 5)) == [1, 2]


def test_a_quick_restart_is_not_noticed_by_callers(lone_nats: Nats) -> None:
    queue = TaskQueueManager(QueueConfig(url=lone_nats.url, operation_timeout=5.0))
    fill(queue, 1, [1, 2])
    leased = take(queue, 1, 2)
    lone_nats.stop()
    restart = threading.Timer(0.1, lone_nats.start)
    restart.start()
    queue.settle([Ack(message.delivery) for message in leased])
    restart.join()
    wait_for(lambda: queue.message_count(1) == 0)


def _messages_sent(config: QueueConfig) -> int:
    (connection,) = runtime.runtime(config).pool._connections.values()
    return connection.client.stats["out_msgs"]


def _cut_off_in_the_middle(server: Nats, config: QueueConfig, call: Callable[[], object]) -> list[object]:
    """Make a call to a frozen server, then replace the server: what the call returned or raised."""
    freeze(server)
    outcome: list[object] = []

    def run() -> None:
        try:
            outcome.append(call())
        except QueueUnavailable as error:
            outcome.append(error)

    sent = _messages_sent(config)
    caller = threading.Thread(target=run)
    caller.start()
    wait_for(lambda: _messages_sent(config) > sent)
    server.kill()
    server.start()
    caller.join(10.0)
    return outcome


def test_a_call_cut_off_in_the_middle_is_repeated_if_that_is_safe(lone_nats: Nats) -> None:
    queue = TaskQueueManager(QueueConfig(url=lone_nats.url, operation_timeout=8.0))
    fill(queue, 1, [1, 2])
    assert _cut_off_in_the_middle(lone_nats, queue.config, lambda: queue.message_count(1)) == [2]


def test_a_creation_cut_off_in_the_middle_is_not_repeated(lone_nats: Nats) -> None:
    queue = TaskQueueManager(QueueConfig(url=lone_nats.url, operation_timeout=8.0))
    fill(queue, 1, [1, 2])
    (outcome,) = _cut_off_in_the_middle(lone_nats, queue.config, lambda: queue.create(1, 2))
    assert isinstance(outcome, QueueUnavailable)
    assert eventually(lambda: queue.exists(1, 1))


def test_while_the_server_is_frozen_probes_come_one_at_a_time(
    lone_nats: Nats, queue: TaskQueueManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    probes: list[float] = []
    admit = CircuitBreaker.admit

    def admit_and_note(breaker: CircuitBreaker) -> bool:
        is_probe = admit(breaker)
        if is_probe:
            probes.append(time.monotonic())
        return is_probe

    monkeypatch.setattr(CircuitBreaker, "admit", admit_and_note)
    fill(queue, 1, [1])
    freeze(lone_nats)
    _fails(lambda: queue.exists(1, 1))

    def hammer() -> None:
        while len(probes) < 3:
            _fails(lambda: queue.exists(1, 1))

    threads = [threading.Thread(target=hammer) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(probes) == 3
    assert all(later - earlier > OPEN for earlier, later in pairwise(probes))


def test_eight_threads_in_an_outage_all_come_back_in_time(lone_nats: Nats, queue: TaskQueueManager) -> None:
    fill(queue, 1, [1])
    freeze(lone_nats)
    waits: list[float] = []
    threads = [
        threading.Thread(target=lambda: waits.append(_fails(lambda: take(queue, 1, 1)))) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(waits) == 8
    assert max(waits) < BOUND


def test_what_was_fetched_before_the_server_froze_is_not_lost(
    lone_nats: Nats, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue = TaskQueueManager(QueueConfig(url=lone_nats.url, operation_timeout=0.5, max_ack_pending=10))
    fill(queue, 1, range(1, 21))
    take(queue, 1, 5)

    def freeze_and_decode(data: bytes, delivery: DeliveryRef) -> ReservedMessage:
        freeze(lone_nats)
        return messages.decode(data, delivery)

    monkeypatch.setattr("ami.taskqueue.reserving.decode", freeze_and_decode)
    assert 6 in images(take(queue, 1, 10))  # only five more may be leased, and no word says so
    assert queue.is_unavailable


def test_a_wiped_store_is_seen_as_missing_and_not_as_an_outage(
    lone_nats: Nats, queue: TaskQueueManager
) -> None:
    fill(queue, 1, [1])
    queue.delete(1)
    assert queue.exists(1, 1) is False
    assert queue.message_count(1) is None
    assert take(queue, 1, 1) == []
    assert not queue.is_unavailable

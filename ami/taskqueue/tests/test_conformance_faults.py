"""The in-memory twins fail as the real servers do: lost consumers and messages, forgotten ids, outages."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from ami.embedded.nats import Nats
from ami.embedded.valkey import Valkey
from ami.taskqueue import (
    Ack,
    AsyncJobStateManager,
    DeliveryRef,
    Lease,
    OpenLeases,
    PendingStateUnavailable,
    QueueConfig,
    QueueUnavailable,
    TaskQueueManager,
    api,
)
from ami.taskqueue.memory import MemoryPendingSets, MemoryTaskQueue
from ami.taskqueue.memory_leases import MemoryOpenLeases
from ami.taskqueue.names import consumer_name, stream_name
from ami.taskqueue.redis_client import shared_client
from ami.taskqueue.tests.common import AnyQueue, fill, images, take, tasks
from ami.taskqueue.tests.waiting import eventually, wait_for

pytestmark = pytest.mark.integration

WINDOW = 0.5
TIMEOUT = 0.25


@dataclass(frozen=True)
class Broken:
    """A queue and the ways to break it; it remembers message ids for half a second of its own time."""

    queue: AnyQueue
    eventually: Callable[[Callable[[], bool]], object]
    lose_consumer: Callable[[int], object]
    lose_messages: Callable[[int, int], object]


@pytest.fixture(params=["memory", "nats"])
def broken(request: pytest.FixtureRequest) -> Broken:
    if request.param == "nats":
        return _nats(request.getfixturevalue("nats_url"))
    now = [1_000.0]

    def pass_time(condition: Callable[[], bool]) -> None:
        for _ in range(500):
            if condition():
                return
            now[0] += 0.01
        pytest.fail("not within 5 s of the twin's time")

    twin = MemoryTaskQueue(duplicate_window_seconds=WINDOW, clock=lambda: now[0])
    return Broken(twin, pass_time, twin.lose_consumer, twin.lose_messages)


def _nats(url: str) -> Broken:
    queue = TaskQueueManager(QueueConfig(url=url, operation_timeout=10.0, duplicate_window_seconds=WINDOW))

    def ask(call: str, body: dict[str, int] | None = None) -> object:
        return queue._runtime.call(lambda link: api.request(link, call, body))

    return Broken(
        queue,
        wait_for,
        lambda job_id: ask(f"CONSUMER.DELETE.{stream_name(job_id)}.{consumer_name(job_id, 1)}"),
        lambda job_id, keep: ask(f"STREAM.PURGE.{stream_name(job_id)}", {"keep": keep}),
    )


def test_without_its_consumer_a_stream_stands_and_hands_out_nothing(broken: Broken, job_id: int) -> None:
    queue = broken.queue
    fill(queue, job_id, [1, 2, 3])
    (first,) = take(queue, job_id, 1)
    broken.lose_consumer(job_id)
    queue.settle([Ack(first.delivery)])
    assert not queue.exists(job_id, 1)
    assert queue.consumer_state(job_id, 1) is None
    assert take(queue, job_id, 3) == []
    assert queue.publish(job_id, 1, tasks([4])) == 1
    assert (queue.message_count(job_id), queue.redelivery_counts([job_id])) == (4, {job_id: 0})
    (found,) = [stream for stream in queue.list_streams() if stream.job_id == job_id]
    assert (found.messages, found.consumer_count) == (4, 0)
    fill(queue, job_id, [5], epoch=2)
    assert queue.message_count(job_id) == 1, "a new incarnation begins empty"


def test_of_lost_messages_the_newest_stay_and_the_lost_are_published_once_more(
    broken: Broken, job_id: int
) -> None:
    queue = broken.queue
    fill(queue, job_id, [1, 2, 3, 4])
    lost, _ = take(queue, job_id, 2)
    broken.lose_messages(job_id, 2)
    assert queue.message_count(job_id) == 2
    broken.eventually(lambda: images(take(queue, job_id, 4)) == [3, 4])
    state = queue.consumer_state(job_id, 1)
    assert state is not None
    assert (state.waiting, state.leased, state.redelivered) == (0, 2, 0)
    queue.settle([Ack(lost.delivery)])
    assert queue.message_count(job_id) == 2
    assert queue.publish(job_id, 1, tasks([1])) == 1
    assert queue.message_count(job_id) == 2, "its id is still known"
    broken.lose_messages(job_id, 0)
    assert queue.message_count(job_id) == 0


def test_ids_of_messages_are_forgotten_in_time(broken: Broken, job_id: int) -> None:
    fill(broken.queue, job_id, [1])

    def stored_again() -> bool:
        broken.queue.publish(job_id, 1, tasks([1]))
        return broken.queue.message_count(job_id) == 2

    assert not stored_again()
    broken.eventually(stored_again)


def test_a_surplus_copy_is_a_message_of_its_own(broken: Broken, job_id: int) -> None:
    fill(broken.queue, job_id, [1])
    assert broken.queue.publish(job_id, 1, tasks([1], run=2, reopened=9)) == 1
    seen: list[tuple[int, int, int]] = []

    def both() -> bool:
        messages = take(broken.queue, job_id, 2)
        seen.extend((message.image_id, message.run, message.delivery.delivered) for message in messages)
        return len(seen) == 2

    broken.eventually(both)
    assert seen == [(1, 1, 1), (1, 2, 1)]


@dataclass(frozen=True)
class Outage:
    """A queue with jobs in it, and how its server goes away and comes back."""

    queue: AnyQueue
    begin: Callable[[], object]
    end: Callable[[], object]

    def noticed(self) -> bool:
        """Whether the queue knows that the server is away."""
        return self.queue.is_unavailable


@pytest.fixture(params=["memory", "nats"])
def outage(request: pytest.FixtureRequest) -> Outage:
    if request.param == "nats":
        server: Nats = request.getfixturevalue("lone_nats")
        config = QueueConfig(url=server.url, operation_timeout=TIMEOUT, breaker_open_seconds=TIMEOUT)
        return Outage(TaskQueueManager(config), server.kill, server.start)
    twin = MemoryTaskQueue()
    return Outage(twin, lambda: setattr(twin, "available", False), lambda: setattr(twin, "available", True))


def test_without_the_server_every_call_says_so_and_nothing_is_lost(outage: Outage) -> None:
    queue = outage.queue
    fill(queue, 1, [1, 2])
    (taken,) = take(queue, 1, 1)
    assert not outage.noticed()
    outage.begin()
    calls: list[Callable[[], object]] = [
        lambda: queue.create(2, 1),
        lambda: queue.exists(1, 1),
        lambda: queue.publish(1, 1, tasks([3])),
        lambda: take(queue, 1, 1),
        lambda: queue.settle([Ack(taken.delivery)]),
        lambda: queue.delete(1),
        lambda: queue.consumer_state(1, 1),
        lambda: queue.message_count(1),
        queue.list_streams,
        lambda: queue.redelivery_counts([1]),
    ]
    for call in calls:
        with pytest.raises(QueueUnavailable):
            call()
    assert outage.noticed()
    queue.settle([])
    assert queue.publish(1, 1, []) == 0
    assert queue.reserve([]) == take(queue, 1, 0) == []
    outage.end()
    assert eventually(lambda: queue.message_count(1)) == 2
    assert not outage.noticed()
    queue.settle([Ack(taken.delivery)])
    wait_for(lambda: queue.message_count(1) == 1)


Sets = AsyncJobStateManager | MemoryPendingSets
Leases = OpenLeases | MemoryOpenLeases


@pytest.fixture(params=["memory", "redis"])
def without_redis(request: pytest.FixtureRequest) -> Iterator[tuple[Sets, Leases]]:
    """Pending sets and open leases whose server is gone."""
    if request.param == "redis":
        server: Valkey = request.getfixturevalue("lone_valkey")
        client = shared_client(server.url)
        client.ping()
        server.kill()
        yield AsyncJobStateManager(1, client), OpenLeases(client)
        return
    leases = MemoryOpenLeases()
    leases.available = False
    yield MemoryPendingSets(1, {}, available=False), leases


def test_without_redis_every_call_says_so(without_redis: tuple[Sets, Leases]) -> None:
    sets, leases = without_redis
    lease = Lease(1, 1, 1, 1, "user:1", DeliveryRef(1, 1, 1, 1, 1, 1, 0))
    calls: list[Callable[[], object]] = [
        lambda: sets.initialize([1], total=1),
        lambda: sets.rebuild(pending_process=[], pending_results=[], failed=[], total=1),
        lambda: sets.update("process", [1]),
        lambda: sets.settle_batch([1], [], []),
        sets.snapshot,
        lambda: sets.pending_ids("process"),
        sets.exists,
        sets.delete,
        lambda: leases.counts(["user:1"]),
        lambda: leases.add(["user:1"], [lease], seconds=1),
        lambda: leases.remove(["user:1"], [lease]),
    ]
    for call in calls:
        with pytest.raises(PendingStateUnavailable):
            call()
    assert leases.counts([]) == {}
    leases.add(["user:1"], [], seconds=1)
    leases.remove(["user:1"], [])

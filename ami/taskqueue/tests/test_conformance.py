"""The in-memory twins behave as the real servers do: every case runs against both."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from ami.taskqueue import (
    Ack,
    InProgress,
    Nak,
    QueueConfig,
    QueueMissing,
    ReserveRequest,
    StandingTask,
    TaskQueueManager,
)
from ami.taskqueue.memory import MemoryPendingSets, MemoryTaskQueue
from ami.taskqueue.pending import AsyncJobStateManager
from ami.taskqueue.redis_client import shared_client
from ami.taskqueue.tests.common import AnyQueue, await_waiting, fill, images, take, tasks
from ami.taskqueue.tests.waiting import wait_for

pytestmark = pytest.mark.integration

LEASE = 1.0
ROOM = 20

Sets = AsyncJobStateManager | MemoryPendingSets


@dataclass(frozen=True)
class World:
    """A queue whose leases last a second, of its own time, and at most 20 of a job at once."""

    queue: AnyQueue
    eventually: Callable[[Callable[[], bool]], object]  # lets time pass until a condition holds


@pytest.fixture(params=["memory", "nats"])
def world(request: pytest.FixtureRequest) -> World:
    if request.param == "nats":
        url: str = request.getfixturevalue("nats_url")
        config = QueueConfig(url=url, operation_timeout=10.0, lease_seconds=LEASE, max_ack_pending=ROOM)
        return World(TaskQueueManager(config), wait_for)
    now = [1_000.0]

    def pass_time(condition: Callable[[], bool]) -> None:
        for _ in range(500):
            if condition():
                return
            now[0] += 0.01
        pytest.fail("not within 5 s of the twin's time")

    return World(MemoryTaskQueue(lease_seconds=LEASE, max_ack_pending=ROOM, clock=lambda: now[0]), pass_time)


@pytest.fixture(params=["memory", "redis"])
def sets(request: pytest.FixtureRequest, job_id: int) -> Iterator[Sets]:
    if request.param == "redis":
        url: str = request.getfixturevalue("redis_url")
        yield AsyncJobStateManager(job_id, shared_client(url))
    else:
        yield MemoryPendingSets(job_id, {})


def test_only_the_created_epoch_exists(world: World, job_id: int) -> None:
    assert not world.queue.exists(job_id, 1)
    world.queue.create(job_id, 1)
    assert world.queue.exists(job_id, 1)
    assert not world.queue.exists(job_id, 2)
    world.queue.create(job_id, 2)
    assert not world.queue.exists(job_id, 1)
    assert world.queue.exists(job_id, 2)


def test_deleting_says_whether_there_was_something(world: World, job_id: int) -> None:
    fill(world.queue, job_id, [1])
    assert world.queue.delete(job_id) is True
    assert world.queue.delete(job_id) is False
    assert world.queue.message_count(job_id) is None
    assert world.queue.consumer_state(job_id, 1) is None
    assert take(world.queue, job_id, 5) == []


def test_publishing_needs_a_stream_and_knows_copies(world: World, job_id: int) -> None:
    with pytest.raises(QueueMissing):
        world.queue.publish(job_id, 1, tasks([1]))
    fill(world.queue, job_id, [1, 2])
    assert world.queue.publish(job_id, 1, tasks([2, 3])) == 2
    assert world.queue.publish(job_id, 1, tasks([3], reopened=1)) == 1
    assert world.queue.message_count(job_id) == 4


def test_a_copy_of_an_acknowledged_message_is_still_a_copy(world: World, job_id: int) -> None:
    fill(world.queue, job_id, [1])
    world.queue.settle([Ack(message.delivery) for message in take(world.queue, job_id, 1)])
    world.eventually(lambda: world.queue.message_count(job_id) == 0)
    assert world.queue.publish(job_id, 1, tasks([1])) == 1
    assert world.queue.message_count(job_id) == 0


def test_messages_carry_what_was_published(world: World, job_id: int) -> None:
    world.queue.create(job_id, 3)
    world.queue.publish(job_id, 3, tasks([8], run=5))
    await_waiting(world.queue, job_id, 1, epoch=3)
    (message,) = take(world.queue, job_id, 9, epoch=3)
    assert (message.job_id, message.run, message.image_id) == (job_id, 5, 8)
    assert (message.delivery.epoch, message.delivery.delivered, message.delivery.stream_seq) == (3, 1, 1)


def test_a_job_is_asked_for_a_count_and_the_right_epoch(world: World, job_id: int) -> None:
    fill(world.queue, job_id, range(1, 6))
    asked = [ReserveRequest(job_id, 1, 2), ReserveRequest(job_id, 2, 9), ReserveRequest(job_id, 1, 0)]
    assert images(world.queue.reserve(asked)) == [1, 2]


def test_a_lease_that_runs_out_hands_the_message_out_again(world: World, job_id: int) -> None:
    fill(world.queue, job_id, [1])
    take(world.queue, job_id, 1)
    seen: list[int] = []

    def again() -> bool:
        seen.extend(message.delivery.delivered for message in take(world.queue, job_id, 1))
        return bool(seen)

    assert not again()
    world.eventually(again)
    assert seen == [2]


def test_only_so_many_messages_of_a_job_are_leased(world: World, job_id: int) -> None:
    fill(world.queue, job_id, range(1, 31))
    assert len(take(world.queue, job_id, 50)) == ROOM
    assert take(world.queue, job_id, 50) == []
    state = world.queue.consumer_state(job_id, 1)
    assert state is not None
    assert (state.waiting, state.leased, state.is_full) == (10, ROOM, True)


def test_settling_does_each_what_it_says(world: World, job_id: int) -> None:
    fill(world.queue, job_id, [1, 2, 3])
    done, back, kept = take(world.queue, job_id, 3)
    world.queue.settle([Ack(done.delivery), Nak(back.delivery, delay=0.1), InProgress(kept.delivery)])
    world.eventually(lambda: images(take(world.queue, job_id, 3)) == [2])
    assert world.queue.message_count(job_id) == 2
    state = world.queue.consumer_state(job_id, 1)
    assert state is not None
    assert (state.waiting, state.leased, state.redelivered, state.is_full) == (0, 2, 1, False)
    assert world.queue.redelivery_counts([job_id, job_id + 100_000]) == {job_id: 1}


def test_an_answer_from_before_a_rebuild_changes_nothing(world: World, job_id: int) -> None:
    fill(world.queue, job_id, [1, 2], epoch=1)
    old = take(world.queue, job_id, 2, epoch=1)
    fill(world.queue, job_id, [1, 2], epoch=2)
    take(world.queue, job_id, 1, epoch=2)
    world.queue.settle([Ack(old[0].delivery), Ack(old[1].delivery)])
    world.queue.settle([Nak(message.delivery) for message in old])
    assert world.queue.message_count(job_id) == 2
    assert images(take(world.queue, job_id, 2, epoch=2)) == [2]


def test_streams_are_listed(world: World, job_id: int) -> None:
    fill(world.queue, job_id, [1, 2])
    (found,) = [stream for stream in world.queue.list_streams() if stream.job_id == job_id]
    assert (found.name, found.messages, found.consumer_count) == (f"job_{job_id}", 2, 1)
    assert found.created is not None


def test_what_stands_is_read_handed_out_or_not(world: World, job_id: int) -> None:
    fill(world.queue, job_id, [1, 2, 3])
    assert world.queue.publish(job_id, 1, tasks([3], run=2, reopened=1)) == 1
    done, _ = take(world.queue, job_id, 2)
    world.queue.settle([Ack(done.delivery)])
    left = frozenset({StandingTask(2, 1), StandingTask(3, 1), StandingTask(3, 2)})
    world.eventually(lambda: world.queue.standing_tasks(job_id, seconds=5) == left)
    assert world.queue.standing_tasks(job_id + 100_000, seconds=5) is None


def test_a_state_never_built_is_missing(sets: Sets) -> None:
    assert sets.update("process", [1]) is None
    assert sets.settle_batch([1], [1], []) is None
    assert sets.snapshot() is None
    assert sets.pending_ids("process") == set()
    assert not sets.exists()


def test_an_update_tells_counts_and_what_was_new(sets: Sets) -> None:
    sets.initialize([1, 2, 3, 4], total=6, failed=[5])
    update = sets.update("process", [1, 2, 99], failed=[3, 3, 98])
    assert update is not None
    assert (update.remaining, update.total, update.processed, update.failed) == (1, 6, 5, 2)
    assert update.newly_removed == (1, 2, 3)
    again = sets.update("process", [1, 2, 99], failed=[3])
    assert again is not None
    assert (again.remaining, again.failed, again.newly_removed) == (1, 2, ())
    assert sets.pending_ids("process") == {4}
    assert sets.pending_ids("results") == {1, 2, 3, 4}


def test_a_batch_settles_both_stages_at_once(sets: Sets) -> None:
    sets.initialize([1, 2, 3, 4], total=4)
    update = sets.settle_batch(processed=[1, 2], saved=[1], failed=[3, 99])
    assert update is not None
    assert (update.remaining, update.processed, update.failed) == (2, 2, 1)
    assert update.newly_removed == (1, 3)
    assert sets.pending_ids("process") == {4}
    assert sets.pending_ids("results") == {2, 4}
    snapshot = sets.snapshot()
    assert snapshot is not None
    assert (snapshot.total, snapshot.process, snapshot.results, snapshot.failed) == (4, 1, 2, 1)


def test_an_empty_update_only_counts(sets: Sets) -> None:
    sets.initialize([1], total=1)
    update = sets.settle_batch([], [], [])
    assert update is not None
    assert (update.remaining, update.newly_removed) == (1, ())


def test_a_rebuild_replaces_and_a_delete_forgets(sets: Sets) -> None:
    sets.initialize([1, 2], total=2)
    sets.rebuild(pending_process=[], pending_results=[2], failed=[7], total=3)
    snapshot = sets.snapshot()
    assert snapshot is not None
    assert (snapshot.total, snapshot.process, snapshot.results, snapshot.failed) == (3, 0, 1, 1)
    sets.delete()
    sets.delete()
    assert not sets.exists()

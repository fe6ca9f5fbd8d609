"""Settling is confirmed, harmless to repeat, and fenced by the epoch."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest

from ami.taskqueue import Ack, Action, InProgress, Nak, QueueConfig, TaskQueueManager
from ami.taskqueue.tests.common import fill, images, take
from ami.taskqueue.tests.waiting import wait_for

pytestmark = pytest.mark.integration


def test_an_acknowledged_message_leaves_the_stream(queue: TaskQueueManager, job_id: int) -> None:
    fill(queue, job_id, range(1, 51))
    queue.settle([Ack(message.delivery) for message in take(queue, job_id, 50)])
    wait_for(lambda: queue.message_count(job_id) == 0)


def test_acknowledging_twice_changes_nothing(queue: TaskQueueManager, job_id: int) -> None:
    fill(queue, job_id, [1, 2])
    message, _ = take(queue, job_id, 2)
    for _ in range(2):
        queue.settle([Ack(message.delivery)])
    wait_for(lambda: queue.message_count(job_id) == 1)


def test_a_message_given_back_comes_again_with_the_next_number(queue: TaskQueueManager, job_id: int) -> None:
    fill(queue, job_id, [1])
    (message,) = take(queue, job_id, 1)
    queue.settle([Nak(message.delivery)])
    (again,) = wait_for(lambda: take(queue, job_id, 1))
    assert (again.image_id, again.delivery.delivered) == (1, 2)


def test_a_message_given_back_with_a_delay_stays_away_that_long(queue: TaskQueueManager, job_id: int) -> None:
    fill(queue, job_id, [1])
    (message,) = take(queue, job_id, 1)
    begun = time.monotonic()
    queue.settle([Nak(message.delivery, delay=0.3)])
    wait_for(lambda: take(queue, job_id, 1))
    assert time.monotonic() - begun >= 0.3


def test_an_extended_lease_outlives_its_first_end(config: QueueConfig, job_id: int) -> None:
    queue = TaskQueueManager(replace(config, lease_seconds=0.5))
    fill(queue, job_id, [1, 2])
    kept, lost = take(queue, job_id, 2)
    seen: list[int] = []

    def extend_and_look() -> bool:
        queue.settle([InProgress(kept.delivery)])
        seen.extend(images(take(queue, job_id, 2)))
        return bool(seen)

    wait_for(extend_and_look)
    assert seen == [lost.image_id]


def test_a_mixed_batch_does_each_what_it_says(queue: TaskQueueManager, job_id: int) -> None:
    fill(queue, job_id, [1, 2, 3])
    done, back, kept = take(queue, job_id, 3)
    queue.settle([Ack(done.delivery), Nak(back.delivery), InProgress(kept.delivery)])
    assert images(wait_for(lambda: take(queue, job_id, 3))) == [2]
    assert queue.message_count(job_id) == 2


def test_an_acknowledgement_after_the_lease_still_counts(config: QueueConfig, job_id: int) -> None:
    queue = TaskQueueManager(replace(config, lease_seconds=0.2))
    fill(queue, job_id, [1])
    (first,) = take(queue, job_id, 1)
    wait_for(lambda: take(queue, job_id, 1))
    queue.settle([Ack(first.delivery)])
    wait_for(lambda: queue.message_count(job_id) == 0)


@pytest.mark.parametrize("action", [Ack, Nak, InProgress])
def test_an_answer_from_before_a_rebuild_changes_nothing(
    queue: TaskQueueManager, job_id: int, action: type[Ack | Nak | InProgress]
) -> None:
    fill(queue, job_id, range(1, 11), epoch=1)
    old: list[Action] = [action(message.delivery) for message in take(queue, job_id, 10, epoch=1)]
    fill(queue, job_id, range(1, 11), epoch=2)
    leased = take(queue, job_id, 10, epoch=2)
    assert [m.delivery.stream_seq for m in leased] == [a.delivery.stream_seq for a in old]
    queue.settle(old)
    queue.settle([Ack(leased[0].delivery)])
    wait_for(lambda: queue.message_count(job_id) == 9)
    state = queue.consumer_state(job_id, 2)
    assert state is not None
    assert (state.waiting, state.leased) == (0, 9)
    assert take(queue, job_id, 10, epoch=2) == []


def test_settling_for_a_deleted_job_is_no_error(queue: TaskQueueManager, job_id: int) -> None:
    fill(queue, job_id, [1])
    messages = take(queue, job_id, 1)
    queue.delete(job_id)
    queue.settle([Ack(message.delivery) for message in messages])


def test_settling_nothing_asks_nobody() -> None:
    TaskQueueManager(QueueConfig(url="nats://127.0.0.1:1")).settle([])

"""Reserving hands out what is there now, of many jobs at once, and never waits for more."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ami.taskqueue import Ack, QueueConfig, ReserveRequest, TaskQueueManager
from ami.taskqueue.reserving import Pull, reserve
from ami.taskqueue.runtime import runtime
from ami.taskqueue.tests import raw
from ami.taskqueue.tests.common import await_waiting, fill, images, take, take_all
from ami.taskqueue.tests.waiting import stopwatch, wait_for

PROMPTLY = 3.0  # seconds on a busy machine; a call that waits for something takes 10

pytestmark = pytest.mark.integration


def test_a_delivery_is_enough_to_acknowledge_the_message(queue: TaskQueueManager, job_id: int) -> None:
    fill(queue, job_id, [7], epoch=4)
    (message,) = take(queue, job_id, 1, epoch=4)
    assert (message.job_id, message.run, message.image_id) == (job_id, 1, 7)
    assert (message.delivery.job_id, message.delivery.epoch, message.delivery.delivered) == (job_id, 4, 1)


def test_fewer_messages_than_asked_come_at_once(queue: TaskQueueManager, job_id: int) -> None:
    fill(queue, job_id, [1, 2, 3])
    assert stopwatch(lambda: take(queue, job_id, 50)) < PROMPTLY


def test_an_empty_queue_answers_at_once(queue: TaskQueueManager, job_id: int) -> None:
    queue.create(job_id, 1)
    assert take(queue, job_id, 50) == []
    assert stopwatch(lambda: take(queue, job_id, 50)) < PROMPTLY


def test_several_jobs_are_served_in_one_go_in_the_order_asked(queue: TaskQueueManager, job_id: int) -> None:
    first, second, empty = job_id, job_id + 100_000, job_id + 200_000
    fill(queue, first, [1, 2, 3])
    fill(queue, second, [4, 5, 6], epoch=9)
    queue.create(empty, 1)
    asked = [ReserveRequest(second, 9, 2), ReserveRequest(empty, 1, 5), ReserveRequest(first, 1, 5)]
    assert [(m.job_id, m.image_id) for m in queue.reserve(asked)] == [
        (second, 4),
        (second, 5),
        (first, 1),
        (first, 2),
        (first, 3),
    ]


def test_a_missing_stream_or_consumer_contributes_nothing(queue: TaskQueueManager, job_id: int) -> None:
    fill(queue, job_id, [1])
    asked = [
        ReserveRequest(job_id + 100_000, 1, 5),
        ReserveRequest(job_id, 2, 5),
        ReserveRequest(job_id, 1, 5),
    ]
    assert images(queue.reserve(asked)) == [1]


def test_asking_for_nothing_asks_nobody() -> None:
    unreachable = TaskQueueManager(QueueConfig(url="nats://127.0.0.1:1"))
    assert unreachable.reserve([]) == []
    assert unreachable.reserve([ReserveRequest(1, 1, 0)]) == []


def test_leased_messages_are_not_handed_out_again(queue: TaskQueueManager, job_id: int) -> None:
    fill(queue, job_id, range(1, 6))
    assert images(take(queue, job_id, 3) + take(queue, job_id, 3)) == [1, 2, 3, 4, 5]
    assert take(queue, job_id, 3) == []


def test_more_than_may_be_leased_is_not_an_error_and_costs_no_timeout(
    config: QueueConfig, job_id: int
) -> None:
    queue = TaskQueueManager(replace(config, max_ack_pending=4))
    fill(queue, job_id, range(1, 11))
    first = take(queue, job_id, 50)
    assert images(first) == [1, 2, 3, 4]
    assert stopwatch(lambda: take(queue, job_id, 50)) < PROMPTLY
    queue.settle([Ack(message.delivery) for message in first[:2]])
    assert images(wait_for(lambda: take(queue, job_id, 50))) == [5, 6]
    assert not queue.is_unavailable


def test_a_limit_changed_in_the_settings_does_not_confuse_older_consumers(
    config: QueueConfig, queue: TaskQueueManager, job_id: int
) -> None:
    fill(TaskQueueManager(replace(config, max_ack_pending=4)), job_id, range(1, 11))
    assert images(take(queue, job_id, 50)) == [1, 2, 3, 4]
    assert stopwatch(lambda: take(queue, job_id, 50)) < PROMPTLY
    state = queue.consumer_state(job_id, 1)
    assert state is not None
    assert state.is_full


def test_a_message_that_cannot_be_read_is_dropped_and_the_others_come(
    queue: TaskQueueManager, job_id: int, nats_url: str
) -> None:
    queue.create(job_id, 1)
    good = b'{"job":%d,"run":1,"image":5}'
    bad = [b"", b"\xff\x00", b"[]", b"null", good % (job_id + 1), b'{"job":%d,"run":1,"image":-5}' % job_id]
    raw.publish(nats_url, f"job.{job_id}.tasks", *bad[:3], good % job_id, *bad[3:])
    await_waiting(queue, job_id, 7)
    assert images(take(queue, job_id, 50)) == [5]
    wait_for(lambda: queue.message_count(job_id) == 1)


def test_many_empty_jobs_are_asked_in_one_go(queue: TaskQueueManager, job_id: int) -> None:
    jobs = range(job_id * 1_000_000, job_id * 1_000_000 + 60)
    for job in jobs:
        queue.create(job, 1)
    fill(queue, jobs[45], [1])
    asked = [ReserveRequest(job, 1, 10) for job in jobs]
    assert images(queue.reserve(asked)) == [1]


def test_what_arrives_when_nobody_waits_for_it_any_more_is_handed_out_to_others(
    config: QueueConfig, queue: TaskQueueManager, job_id: int
) -> None:
    fill(queue, job_id, [1, 2])
    pull = Pull(ReserveRequest(job_id, 1, 2), 10)
    assert pull.take() == []
    runtime(config).call(lambda connection: reserve(connection, [pull]))
    assert images(take_all(queue, job_id, 2)) == [1, 2]
    assert pull.take() == []

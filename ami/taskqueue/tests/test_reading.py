"""Reading finds every message of a stream, whatever is missing between them, and takes none."""

from __future__ import annotations

import pytest

from ami.embedded.nats import Nats
from ami.taskqueue import Ack, QueueConfig, QueueUnavailable, StandingTask, TaskQueueManager
from ami.taskqueue.tests import raw
from ami.taskqueue.tests.common import await_waiting, fill, images, take
from ami.taskqueue.tests.waiting import wait_for

pytestmark = pytest.mark.integration


def found(queue: TaskQueueManager, job_id: int, *wanted: StandingTask) -> list[int]:
    """The images that reading finds, sorted."""
    standing = queue.standing_tasks(job_id, wanted, seconds=10)
    assert standing is not None
    return sorted(task.image_id for task in standing)


def test_gaps_are_stepped_over(queue: TaskQueueManager, job_id: int) -> None:
    fill(queue, job_id, range(1, 501))
    messages = take(queue, job_id, 500)
    queue.settle([Ack(message.delivery) for message in messages if message.image_id % 100 not in {0, 7}])
    left = [7, 100, 107, 200, 207, 300, 307, 400, 407, 500]
    wait_for(lambda: queue.message_count(job_id) == len(left))
    assert found(queue, job_id) == left
    queue.settle([Ack(message.delivery) for message in messages])
    wait_for(lambda: queue.message_count(job_id) == 0)
    assert found(queue, job_id) == []


def test_reading_ends_with_what_is_wanted(queue: TaskQueueManager, job_id: int) -> None:
    fill(queue, job_id, range(1, 2_001))
    some = found(queue, job_id, StandingTask(1, 1))
    assert 1 in some
    assert len(some) < 2_000
    assert len(found(queue, job_id, StandingTask(1, 9))) == 2_000, "another run is another task"


def test_reading_takes_nothing(queue: TaskQueueManager, job_id: int) -> None:
    fill(queue, job_id, [1, 2])
    before = queue.consumer_state(job_id, 1)
    assert found(queue, job_id) == [1, 2]
    assert queue.consumer_state(job_id, 1) == before
    assert [message.delivery.delivered for message in take(queue, job_id, 2)] == [1, 1]


def test_what_cannot_be_understood_is_left_out(queue: TaskQueueManager, job_id: int, nats_url: str) -> None:
    fill(queue, job_id, [1])
    raw.publish(nats_url, f"job.{job_id}.tasks", b"", b"{}", b'{"job":9,"run":1,"image":2}')
    await_waiting(queue, job_id, 4)
    assert found(queue, job_id) == [1]
    assert images(take(queue, job_id, 9)) == [1]


def test_without_a_server_it_says_so(lone_nats: Nats) -> None:
    queue = TaskQueueManager(QueueConfig(url=lone_nats.url, operation_timeout=1))
    fill(queue, 5, [1])
    lone_nats.kill()
    with pytest.raises(QueueUnavailable):
        queue.standing_tasks(5, seconds=1)

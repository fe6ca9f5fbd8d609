"""Small steps that many queue tests take."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial

from ami.taskqueue import ReservedMessage, ReserveRequest, TaskMessage, TaskQueueManager
from ami.taskqueue.memory import MemoryTaskQueue
from ami.taskqueue.tests.waiting import eventually, wait_for

AnyQueue = TaskQueueManager | MemoryTaskQueue


def tasks(image_ids: Iterable[int], *, run: int = 1, reopened: int = 0) -> list[TaskMessage]:
    """One message per image."""
    return [TaskMessage(image_id, run, reopened) for image_id in image_ids]


def fill(queue: AnyQueue, job_id: int, image_ids: Sequence[int], *, epoch: int = 1) -> None:
    """Create a job's stream and publish these images into it."""
    queue.create(job_id, epoch)
    assert queue.publish(job_id, epoch, tasks(image_ids)) == len(image_ids)
    await_waiting(queue, job_id, len(image_ids), epoch=epoch)


def await_waiting(queue: AnyQueue, job_id: int, count: int, *, epoch: int = 1) -> None:
    """Wait until the consumer has noticed its messages: a moment after they are confirmed as stored."""

    def noticed() -> bool:
        state = queue.consumer_state(job_id, epoch)
        return state is not None and state.waiting == count

    wait_for(noticed)


def take(queue: AnyQueue, job_id: int, count: int, *, epoch: int = 1) -> list[ReservedMessage]:
    """Reserve up to `count` messages of one job."""
    return queue.reserve([ReserveRequest(job_id, epoch, count)])


def take_all(queue: TaskQueueManager, job_id: int, count: int) -> list[ReservedMessage]:
    """Reserve, again and again for some seconds, until there are so many messages of one job."""
    got: list[ReservedMessage] = []

    def enough() -> bool:
        got.extend(eventually(partial(take, queue, job_id, count - len(got))))
        return len(got) >= count

    wait_for(enough)
    return got


def images(messages: Iterable[ReservedMessage]) -> list[int]:
    """The images of messages, sorted."""
    return sorted(message.image_id for message in messages)

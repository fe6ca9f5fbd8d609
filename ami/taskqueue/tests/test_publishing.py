"""Publishing is windowed, counts what is stored for sure, and may be repeated."""

from __future__ import annotations

import asyncio
import threading
import time
from dataclasses import replace

import pytest
from nats.aio.client import Client
from nats.aio.msg import Msg

from ami.embedded.nats import Nats
from ami.taskqueue import QueueConfig, QueueMissing, QueueUnavailable, TaskQueueManager
from ami.taskqueue.publishing import PublishWindow
from ami.taskqueue.tests.common import await_waiting, fill, images, take, tasks
from ami.taskqueue.tests.waiting import eventually, wait_for

pytestmark = pytest.mark.integration


def test_messages_come_out_in_the_order_in_which_they_went_in(queue: TaskQueueManager, job_id: int) -> None:
    order = [5, 3, 9, 1]
    fill(queue, job_id, order)
    assert [message.image_id for message in take(queue, job_id, 10)] == order


def _confirmation(index: int, body: bytes = b'{"stream":"job_1","seq":9}') -> Msg:
    return Msg(_client=Client(), subject=f"_INBOX.x.{index}", data=body)


def test_only_a_prefix_without_a_gap_counts_as_stored() -> None:
    async def scenario() -> list[int]:
        window, stored = PublishWindow(), []
        window.sent = 5
        for index in (1, 2, 0, 4, 3):
            await window.on_reply(_confirmation(index))
            stored.append(window.stored)
        assert window.unconfirmed == 0
        return stored

    assert asyncio.run(scenario()) == [0, 0, 3, 3, 5]


def test_a_refused_message_ends_the_prefix() -> None:
    async def scenario() -> int:
        window = PublishWindow()
        window.sent = 3
        for message in (_confirmation(0), _confirmation(1, b'{"error":{"code":503}}'), _confirmation(2)):
            await window.on_reply(message)
        with pytest.raises(QueueUnavailable):
            await window.shrink(1, patience=1.0)
        return window.stored

    assert asyncio.run(scenario()) == 1


def test_a_repeated_publish_stores_nothing_twice_and_counts_as_stored(
    queue: TaskQueueManager, job_id: int
) -> None:
    queue.create(job_id, 1)
    assert queue.publish(job_id, 1, tasks(range(1, 101))) == 100
    assert queue.publish(job_id, 1, tasks(range(1, 151))) == 150
    assert queue.message_count(job_id) == 150


def test_an_image_put_back_is_a_new_message(queue: TaskQueueManager, job_id: int) -> None:
    queue.create(job_id, 1)
    queue.publish(job_id, 1, tasks([1]))
    queue.publish(job_id, 1, tasks([1], reopened=1))
    await_waiting(queue, job_id, 2)
    assert images(take(queue, job_id, 10)) == [1, 1]


def test_a_window_smaller_than_the_batch_loses_nothing(config: QueueConfig, job_id: int) -> None:
    queue = TaskQueueManager(replace(config, publish_window=3))
    fill(queue, job_id, range(1, 200))
    assert queue.message_count(job_id) == 199


def test_publishing_without_a_stream_says_so(queue: TaskQueueManager, job_id: int) -> None:
    with pytest.raises(QueueMissing):
        queue.publish(job_id, 1, tasks([1, 2]))
    assert not queue.is_unavailable


def test_publishing_nothing_asks_nobody() -> None:
    assert TaskQueueManager(QueueConfig(url="nats://127.0.0.1:1")).publish(1, 1, []) == 0


def test_a_full_stream_keeps_what_it_took_and_the_count_is_exact(config: QueueConfig, job_id: int) -> None:
    queue = TaskQueueManager(replace(config, max_stream_bytes=5_000))
    queue.create(job_id, 1)
    stored = queue.publish(job_id, 1, tasks(range(1, 201)))
    assert 0 < stored < 200
    assert queue.message_count(job_id) == stored
    with pytest.raises(QueueUnavailable, match="maximum bytes"):
        queue.publish(job_id, 1, tasks(range(stored + 1, 201)))
    assert not queue.is_unavailable


def test_a_server_that_dies_half_way_leaves_an_exact_prefix(lone_nats: Nats, job_id: int) -> None:
    queue = TaskQueueManager(QueueConfig(url=lone_nats.url, operation_timeout=0.5, publish_window=200))
    queue.create(job_id, 1)
    wanted = tasks(range(1, 30_001))

    def kill_in_the_middle() -> None:
        wait_for(lambda: (queue.message_count(job_id) or 0) > 2_000)
        lone_nats.kill()

    killer = threading.Thread(target=kill_in_the_middle)
    killer.start()
    stored = queue.publish(job_id, 1, wanted)
    killer.join()
    assert 0 < stored < 30_000
    lone_nats.start()
    count = eventually(lambda: queue.message_count(job_id))
    assert count is not None
    assert stored <= count <= stored + 200  # confirmed ones are there; of the window some more may be
    assert queue.publish(job_id, 1, wanted[stored:]) == 30_000 - stored
    assert queue.message_count(job_id) == 30_000


def test_no_more_than_a_window_is_ever_unconfirmed(
    config: QueueConfig, job_id: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: set[int] = set()

    class Watched(PublishWindow):
        async def shrink(self, below: int, patience: float) -> None:
            seen.add(self.unconfirmed)
            await super().shrink(below, patience)

    monkeypatch.setattr("ami.taskqueue.queue.PublishWindow", Watched)
    fill(TaskQueueManager(replace(config, publish_window=10)), job_id, range(1, 1_001))
    assert max(seen) == 10


def test_a_hundred_thousand_messages_take_little_time(queue: TaskQueueManager, job_id: int) -> None:
    queue.create(job_id, 1)
    wanted = tasks(range(1, 100_001))
    begun = time.process_time()
    assert queue.publish(job_id, 1, wanted) == 100_000
    assert time.process_time() - begun < 5  # about 1.4 s
    assert queue.message_count(job_id) == 100_000

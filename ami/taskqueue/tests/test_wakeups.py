"""Wake-ups reach who waits, in any process, and nobody else."""

from __future__ import annotations

import threading
import time
import uuid

import pytest

from ami.embedded.nats import Nats
from ami.taskqueue import QueueConfig, QueueUnavailable
from ami.taskqueue.tests.waiting import wait_for
from ami.taskqueue.wakeups import WakeUps, wakeups

pytestmark = pytest.mark.integration


TOPIC = f"test.{uuid.uuid4().hex}"
"""Other tests announce on the same server."""


def ours(topic: str) -> bool:
    """What these tests announce is of interest, and nothing else."""
    return topic == TOPIC


def test_a_waiter_is_woken_by_an_announcement(config: QueueConfig) -> None:
    hub = wakeups(config)
    with hub.waiting(ours, 1) as waiter:
        hub.announce(7, TOPIC, 1)
        assert waiter.wait(5) == {7}


def test_a_waiter_is_woken_by_an_announcement_of_another_process(config: QueueConfig) -> None:
    here, elsewhere = WakeUps(config), WakeUps(config)
    with here.waiting(ours, 1) as waiter:
        elsewhere.announce(7, TOPIC, 1)
        assert waiter.wait(5) == {7}


def test_what_came_up_before_the_wait_is_not_missed(config: QueueConfig) -> None:
    hub = wakeups(config)
    with hub.waiting(ours, 1) as waiter:
        hub.announce(7, TOPIC, 1)
        wait_for(lambda: waiter._event.is_set())
        started = time.monotonic()
        assert waiter.wait(5) == {7}
        assert time.monotonic() - started < 1


def test_only_who_accepts_the_topic_is_woken(config: QueueConfig) -> None:
    hub = wakeups(config)
    with hub.waiting(lambda topic: topic == "9.9", 1) as other, hub.waiting(ours, 1) as waiter:
        hub.announce(7, TOPIC, 10)
        assert waiter.wait(5) == {7}
        assert other.wait(0) == set()


def test_as_many_are_woken_as_there_is_work_for_the_longest_waiting_first(config: QueueConfig) -> None:
    hub = wakeups(config)
    with hub.waiting(ours, 5) as first, hub.waiting(ours, 5) as second, hub.waiting(ours, 5) as third:
        hub.announce(7, TOPIC, 8)
        assert (first.wait(5), second.wait(5)) == ({7}, {7})
        assert third.wait(0) == set()
        hub.announce(8, TOPIC, 1)
        assert third.wait(5) == {8}, "the two that were woken wait at the end now"
        assert first.wait(0) == second.wait(0) == set()


def test_who_left_is_not_counted(config: QueueConfig) -> None:
    hub = WakeUps(config)
    with hub.waiting(ours, 1):
        assert hub.count == 1
    assert hub.count == 0


def test_many_threads_wait_at_once(config: QueueConfig) -> None:
    hub = WakeUps(config)
    woken: list[set[int]] = []

    def wait() -> None:
        with hub.waiting(ours, 1) as waiter:
            woken.append(waiter.wait(10))

    threads = [threading.Thread(target=wait) for _ in range(50)]
    for thread in threads:
        thread.start()
    wait_for(lambda: hub.count == 50)
    hub.announce(3, TOPIC, 50)
    for thread in threads:
        thread.join(10)
    assert woken == [{3}] * 50


def test_nonsense_on_the_subject_wakes_nobody_and_breaks_nothing(config: QueueConfig) -> None:
    hub = WakeUps(config)
    with hub.waiting(ours, 1) as waiter:
        hub._wake_from(b"no json")
        hub._wake_from(b'{"a": 1}')
        hub._wake_from(b'[1, "1.2"]')
        hub.announce(7, TOPIC, 1)
        assert waiter.wait(5) == {7}


def test_waiting_without_a_queue_is_refused_at_once(lone_nats: Nats) -> None:
    lone_nats.kill()
    config = QueueConfig(url=lone_nats.url, operation_timeout=0.5)
    with pytest.raises(QueueUnavailable), WakeUps(config).waiting(ours, 1):
        pass


def test_announcing_without_a_queue_is_no_error(lone_nats: Nats) -> None:
    lone_nats.kill()
    WakeUps(QueueConfig(url=lone_nats.url, operation_timeout=0.5)).announce(7, TOPIC, 1)


def test_a_waiter_is_woken_again_after_the_server_came_back(lone_nats: Nats) -> None:
    hub = WakeUps(QueueConfig(url=lone_nats.url, operation_timeout=5.0))
    with hub.waiting(ours, 1) as waiter:
        lone_nats.kill()
        lone_nats.start()

        def announced() -> bool:
            hub.announce(7, TOPIC, 1)
            return waiter.wait(0.2) == {7}

        wait_for(announced)

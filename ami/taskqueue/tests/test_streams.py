"""A job's stream: made with the promised properties, found, and deleted."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ami.taskqueue import QueueConfig, QueueError, TaskQueueManager
from ami.taskqueue.tests import raw

pytestmark = pytest.mark.integration


def test_the_stream_forgets_nothing_but_what_is_acknowledged(
    queue: TaskQueueManager, job_id: int, nats_url: str
) -> None:
    queue.create(job_id, 1)
    stream = raw.js(nats_url, f"STREAM.INFO.job_{job_id}")["config"]
    assert stream["retention"] == "workqueue"
    assert stream["storage"] == "file"
    assert stream["subjects"] == [f"job.{job_id}.tasks"]
    assert (stream["max_age"], stream["max_msgs"], stream["max_bytes"]) == (0, -1, -1)
    assert stream["discard"] == "new"
    assert stream["duplicate_window"] == 120_000_000_000


def test_the_consumer_never_gives_up_on_a_message(job_id: int, config: QueueConfig, nats_url: str) -> None:
    TaskQueueManager(replace(config, lease_seconds=42.5, max_ack_pending=77)).create(job_id, 3)
    info = raw.js(nats_url, f"CONSUMER.INFO.job_{job_id}.job-{job_id}-consumer-3")["config"]
    assert info["max_deliver"] == -1
    assert info["ack_wait"] == 42_500_000_000
    assert info["max_ack_pending"] == 77
    assert info["filter_subject"] == f"job.{job_id}.tasks"
    assert info["ack_policy"] == "explicit"
    assert "inactive_threshold" not in info


def test_creating_an_epoch_leaves_one_consumer_and_no_old_message(
    queue: TaskQueueManager, job_id: int, nats_url: str
) -> None:
    queue.create(job_id, 1)
    raw.publish(nats_url, f"job.{job_id}.tasks", b"left over")
    queue.create(job_id, 2)
    names = raw.js(nats_url, f"CONSUMER.NAMES.job_{job_id}")["consumers"]
    assert names == [f"job-{job_id}-consumer-2"]
    assert queue.message_count(job_id) == 0


def test_a_refusal_of_the_server_is_an_error_that_says_why(config: QueueConfig, job_id: int) -> None:
    with pytest.raises(QueueError, match="replicas"):
        TaskQueueManager(replace(config, replicas=3)).create(job_id, 1)


def test_a_refusal_does_not_open_the_breaker(config: QueueConfig, job_id: int) -> None:
    queue = TaskQueueManager(replace(config, replicas=3))
    for _ in range(3):
        with pytest.raises(QueueError):
            queue.create(job_id, 1)
    assert not queue.is_unavailable

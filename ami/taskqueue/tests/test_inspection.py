"""Listing sees every job stream, only job streams, and says how old they are."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from ami.embedded.nats import Nats
from ami.taskqueue import Nak, QueueConfig, TaskQueueManager
from ami.taskqueue.inspection import _parse_time
from ami.taskqueue.tests import raw
from ami.taskqueue.tests.common import fill, take
from ami.taskqueue.tests.waiting import wait_for

pytestmark = pytest.mark.integration


def test_all_pages_of_job_streams_are_listed_and_no_other_stream(lone_nats: Nats) -> None:
    queue = TaskQueueManager(QueueConfig(url=lone_nats.url, operation_timeout=5))
    raw.create_stream(lone_nats.url, "job_12x", "foreign.1")
    raw.create_stream(lone_nats.url, "KV_cache", "foreign.2")
    for job in range(1, 261):
        queue.create(job, 1)
    fill(queue, 7, [1, 2, 3], epoch=2)
    streams = queue.list_streams()
    assert [stream.job_id for stream in streams] == list(range(1, 261))
    seventh = streams[6]
    assert (seventh.name, seventh.messages, seventh.consumer_count) == ("job_7", 3, 1)
    assert seventh.bytes > 0
    assert seventh.created is not None
    assert timedelta(0) <= datetime.now(UTC) - seventh.created < timedelta(seconds=30)


def test_a_server_without_streams_lists_none(lone_nats: Nats) -> None:
    assert TaskQueueManager(QueueConfig(url=lone_nats.url)).list_streams() == []


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-11-22T00:40:38.123456789Z", datetime(2026, 11, 22, 0, 40, 38, 123456, tzinfo=UTC)),
        ("2026-11-22T01:40:38+01:00", datetime(2026, 11, 22, 0, 40, 38, tzinfo=UTC)),
        ("", None),
        ("yesterday", None),
        ("2026-11-22T00:40:38", None),
    ],
)
def test_a_time_that_cannot_be_read_is_unknown(text: str, moment: datetime | None) -> None:
    assert _parse_time(text) == moment


def test_redeliveries_are_counted_for_the_asked_jobs_only(queue: TaskQueueManager, job_id: int) -> None:
    fill(queue, job_id, [1, 2], epoch=6)
    (message,) = take(queue, job_id, 1, epoch=6)
    queue.settle([Nak(message.delivery)])
    wait_for(lambda: take(queue, job_id, 1, epoch=6))
    assert queue.redelivery_counts([job_id, job_id + 100_000]) == {job_id: 1}

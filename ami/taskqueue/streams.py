"""The life of a job's stream: create, look, delete.

One stream per job with work-queue retention: what is in it is what is not acknowledged. It has no age limit
and its consumer never gives up on a message (`max_deliver` -1): the ledger counts attempts, NATS delivers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ami.taskqueue import api
from ami.taskqueue.client import Connection
from ami.taskqueue.config import QueueConfig
from ami.taskqueue.errors import QueueMissing
from ami.taskqueue.names import consumer_name, stream_name, subject

_NS = 1_000_000_000


@dataclass(frozen=True, slots=True)
class ConsumerState:
    """What the server counts for one consumer."""

    waiting: int  # messages not yet handed out
    leased: int  # handed out, not acknowledged (also when the lease ran out and nobody has asked since)
    redelivered: int  # of the unacknowledged ones, those handed out more than once
    is_full: bool = False  # as many are leased as may be; nothing is handed out until some are settled


async def create(connection: Connection, config: QueueConfig, job_id: int, epoch: int) -> None:
    """Delete what is left of the stream; create stream and consumer of `epoch`.

    Not safe to repeat with the same epoch: after an unclear answer the caller raises the epoch.
    """
    await delete(connection, job_id)
    name = stream_name(job_id)
    await api.request(connection, f"STREAM.CREATE.{name}", _stream_config(config, job_id))
    consumer = consumer_name(job_id, epoch)
    body = {"stream_name": name, "config": _consumer_config(config, job_id, consumer)}
    await api.request(connection, f"CONSUMER.CREATE.{name}.{consumer}.{subject(job_id)}", body)


async def exists(connection: Connection, job_id: int, epoch: int) -> bool:
    """Whether the stream stands and has the consumer of this epoch."""
    return await consumer_state(connection, job_id, epoch) is not None


async def delete(connection: Connection, job_id: int) -> bool:
    """Delete the stream with its messages and consumer; False if there was none. Safe to repeat."""
    try:
        await api.request(connection, f"STREAM.DELETE.{stream_name(job_id)}")
    except QueueMissing:
        return False
    return True


async def consumer_state(connection: Connection, job_id: int, epoch: int) -> ConsumerState | None:
    """The counts of the consumer of this epoch, or None if there is none."""
    try:
        info = await api.request(
            connection, f"CONSUMER.INFO.{stream_name(job_id)}.{consumer_name(job_id, epoch)}"
        )
    except QueueMissing:
        return None
    leased = int(info["num_ack_pending"])
    return ConsumerState(
        waiting=info["num_pending"],
        leased=leased,
        redelivered=info["num_redelivered"],
        is_full=leased >= info["config"]["max_ack_pending"],
    )


async def message_count(connection: Connection, job_id: int) -> int | None:
    """How many messages stand in the stream (not acknowledged), or None if there is no stream."""
    try:
        info = await api.request(connection, f"STREAM.INFO.{stream_name(job_id)}")
    except QueueMissing:
        return None
    return int(info["state"]["messages"])


def _stream_config(config: QueueConfig, job_id: int) -> dict[str, Any]:
    return {
        "name": stream_name(job_id),
        "subjects": [subject(job_id)],
        "retention": "workqueue",
        "storage": "file",
        "discard": "new",  # a full stream refuses new messages instead of dropping old ones
        "max_age": 0,
        "max_msgs": -1,
        "max_bytes": config.max_stream_bytes,
        "max_consumers": -1,
        "num_replicas": config.replicas,
        "duplicate_window": int(config.duplicate_window_seconds * _NS),
    }


def _consumer_config(config: QueueConfig, job_id: int, name: str) -> dict[str, Any]:
    return {
        "durable_name": name,
        "filter_subject": subject(job_id),
        "deliver_policy": "all",
        "ack_policy": "explicit",
        "replay_policy": "instant",
        "ack_wait": int(config.lease_seconds * _NS),
        "max_deliver": -1,
        "max_ack_pending": config.max_ack_pending,
        "num_replicas": config.replicas,
    }

"""What an operator could do to NATS by mistake: lose a stream, a consumer, everything."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from ami.chaos.database import value
from ami.chaos.platform import Platform
from ami.taskqueue import api, from_settings
from ami.taskqueue.names import consumer_name, stream_name
from ami.taskqueue.runtime import runtime


def delete_stream(job_id: int) -> None:
    """The job's stream is gone, with its consumer and its messages."""
    request(f"STREAM.DELETE.{stream_name(job_id)}")


def delete_consumer(job_id: int) -> None:
    """The consumer of the job's stream is gone; the messages are there."""
    epoch = value("SELECT queue_epoch FROM jobs_job WHERE id = %s", [job_id])
    request(f"CONSUMER.DELETE.{stream_name(job_id)}.{consumer_name(job_id, epoch)}")


def lose_everything(platform: Platform) -> None:
    """NATS dies, and comes back with an empty store."""
    nats = platform.stack.nats
    nats.kill()
    shutil.rmtree(_store(platform))
    nats.start()


def take_snapshot(platform: Platform) -> Path:
    """A copy of all that NATS holds, taken while it stands still."""
    nats = platform.stack.nats
    copy = platform.folder / "snapshot"
    shutil.rmtree(copy, ignore_errors=True)
    nats.stop()
    shutil.copytree(_store(platform), copy)
    nats.start()
    return copy


def restore_snapshot(platform: Platform, copy: Path) -> None:
    """NATS dies, and comes back with what it held when the copy was taken."""
    nats = platform.stack.nats
    nats.kill()
    shutil.rmtree(_store(platform))
    shutil.copytree(copy, _store(platform))
    nats.start()


def _store(platform: Platform) -> Path:
    return platform.stack.nats.home / "nats" / "jetstream"


def request(call: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
    """One call of the JetStream API. Raises a QueueError when it is refused, or not answered."""
    return runtime(from_settings()).call(lambda link: api.request(link, call, body), seconds=5.0)


def limit_messages(job_id: int, most: int) -> int:
    """Let the job's stream hold so many messages and refuse more (-1: no limit); returns what it was."""
    name = stream_name(job_id)
    config = request(f"STREAM.INFO.{name}")["config"]
    request(f"STREAM.UPDATE.{name}", config | {"max_msgs": most})
    return int(config["max_msgs"])

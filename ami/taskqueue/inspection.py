"""Looking at all streams at once, for clean-up and for people: snapshots and redelivery counts."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from ami.taskqueue import api
from ami.taskqueue.client import Connection
from ami.taskqueue.errors import QueueMissing
from ami.taskqueue.names import parse_stream_name, stream_name


@dataclass(frozen=True, slots=True)
class StreamSnapshot:
    """One job's stream at a moment; `created` is None when the server's time cannot be read."""

    job_id: int
    name: str
    created: datetime | None
    messages: int
    bytes: int
    consumer_count: int


async def list_streams(connection: Connection) -> list[StreamSnapshot]:
    """Snapshots of all job streams (names `job_<id>`), sorted by job."""
    found: dict[int, StreamSnapshot] = {}
    async for info in _pages(connection, "STREAM.LIST", "streams"):
        name = info["config"]["name"]
        job_id = parse_stream_name(name)
        if job_id is not None:
            state = info["state"]
            found[job_id] = StreamSnapshot(
                job_id=job_id,
                name=name,
                created=_parse_time(info.get("created", "")),
                messages=state["messages"],
                bytes=state["bytes"],
                consumer_count=state["consumer_count"],
            )
    return [found[job_id] for job_id in sorted(found)]


async def redelivery_counts(connection: Connection, job_ids: Iterable[int]) -> dict[int, int]:
    """Unacknowledged messages handed out more than once, per job; jobs without a stream are left out."""
    counts: dict[int, int] = {}
    for job_id in job_ids:
        try:
            infos = [
                info async for info in _pages(connection, f"CONSUMER.LIST.{stream_name(job_id)}", "consumers")
            ]
        except QueueMissing:
            continue
        counts[job_id] = sum(info["num_redelivered"] for info in infos)
    return counts


async def _pages(connection: Connection, call: str, key: str) -> AsyncIterator[dict[str, Any]]:
    """All entries of a paged listing."""
    offset = 0
    while True:
        page = await api.request(connection, call, {"offset": offset})
        entries = page.get(key) or []
        for entry in entries:
            yield entry
        offset += len(entries)
        if not entries or offset >= page["total"]:
            return


def _parse_time(text: str) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment.astimezone(UTC) if moment.tzinfo else None

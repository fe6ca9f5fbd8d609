"""Reading what stands in a job's stream without taking any of it, for people who look for an image.

All messages of a job have one subject, so an image is found by reading: about 80 µs a message, 4 s for a
full window of 50,000. The requests go to the stream itself and touch no consumer.
"""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Collection
from dataclasses import dataclass, field

from ami.taskqueue import api
from ami.taskqueue.client import Connection
from ami.taskqueue.errors import QueueMissing
from ami.taskqueue.messages import read
from ami.taskqueue.names import stream_name, subject

_AT_ONCE = 64
"""Requests under way; more gain nothing, and these take no place from other requests that count."""


@dataclass(frozen=True, slots=True)
class StandingTask:
    """A message in a stream: its image, and the run that it was published for."""

    image_id: int
    run: int


@dataclass(slots=True)
class _Reading:
    """What one reading looks for and has found."""

    wanted: set[StandingTask]
    ends_early: bool
    found: set[StandingTask] = field(default_factory=set)

    @property
    def is_over(self) -> bool:
        return self.ends_early and not self.wanted

    def take(self, task: StandingTask) -> None:
        self.found.add(task)
        self.wanted.discard(task)


async def standing_tasks(
    connection: Connection, job_id: int, wanted: Collection[StandingTask] = ()
) -> frozenset[StandingTask] | None:
    """The tasks whose messages stand in the stream, handed out or not; None without a stream.

    With `wanted`, reading ends as soon as these were found. Changes nothing; safe to repeat.
    """
    try:
        info = await api.request(connection, f"STREAM.INFO.{stream_name(job_id)}")
    except QueueMissing:
        return None
    first, last = info["state"]["first_seq"], info["state"]["last_seq"]
    step = max(1, -(-(last + 1 - first) // _AT_ONCE))
    reading = _Reading(set(wanted), bool(wanted))
    try:
        async with asyncio.TaskGroup() as group:
            for start in range(first, last + 1, step):
                group.create_task(_read_part(connection, job_id, start, min(start + step, last + 1), reading))
    except ExceptionGroup as failures:
        raise failures.exceptions[0] from None
    return frozenset(reading.found)


async def _read_part(connection: Connection, job_id: int, start: int, end: int, reading: _Reading) -> None:
    """Read the messages with sequence numbers from `start` to before `end`."""
    while start < end and not reading.is_over:
        body = {"seq": start, "next_by_subj": subject(job_id)}
        try:
            answer = await api.request(connection, f"STREAM.MSG.GET.{stream_name(job_id)}", body)
        except QueueMissing:  # there is none from here on
            return
        message = answer["message"]
        if message["seq"] < end:
            _take(job_id, message.get("data", ""), reading)
        start = message["seq"] + 1


def _take(job_id: int, data: str, reading: _Reading) -> None:
    try:
        run, image_id = read(base64.b64decode(data), job_id)
    except ValueError:
        return  # nobody can work on it: the next reservation acknowledges it
    reading.take(StandingTask(image_id, run))

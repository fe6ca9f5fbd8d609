"""The body of a message: ids only. Everything else about a task is looked up when it is handed out."""

from __future__ import annotations

import re
from dataclasses import dataclass

from ami.taskqueue.names import DeliveryRef

_BODY = re.compile(rb'\{"job":([0-9]{1,19}),"run":([0-9]{1,10}),"image":([0-9]{1,19})\}')


@dataclass(frozen=True, slots=True)
class TaskMessage:
    """One image to process: its id, and the ledger row's run and how often it was put back."""

    image_id: int
    run: int
    reopened: int


@dataclass(frozen=True, slots=True)
class ReservedMessage:
    """One delivered message, as the server handed it out."""

    job_id: int
    run: int
    image_id: int
    delivery: DeliveryRef


def encode(job_id: int, task: TaskMessage) -> bytes:
    """The bytes that are published for a task."""
    return b'{"job":%d,"run":%d,"image":%d}' % (job_id, task.run, task.image_id)


def decode(data: bytes, delivery: DeliveryRef) -> ReservedMessage:
    """Read a delivered message; raises ValueError for what `encode` did not write for this job."""
    return ReservedMessage(delivery.job_id, *read(data, delivery.job_id), delivery)


def read(data: bytes, job_id: int) -> tuple[int, int]:
    """Run and image of a message of this job; raises ValueError for what `encode` did not write for it."""
    match = _BODY.fullmatch(data)
    if match is None or int(match[1]) != job_id:
        raise ValueError("The message does not name a job, run and image of this stream.")
    return int(match[2]), int(match[3])

"""Every name the queue layer uses, made and parsed in this one place.

Stream, subject, consumer, message id, Redis keys, and the subject to which a delivery is acknowledged.
A consumer's name carries the epoch (the incarnation of the stream): an answer to a delivery of an earlier
epoch is addressed to a consumer that no longer exists and so cannot touch a message of the later one.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, Literal

Stage = Literal["process", "results"]
STAGES: Final[tuple[Stage, ...]] = ("process", "results")

_STREAM = re.compile(r"job_([1-9][0-9]{0,18})", re.ASCII)
_REDIS_KEY = re.compile(
    r"job:([1-9][0-9]{0,18}):(?:pending_images:process|pending_images:results|failed_images|pending_images_total)",
    re.ASCII,
)
_ACK_SUBJECT = re.compile(
    r"\$JS\.ACK\."
    r"(?P<v2>[^.]+\.[^.]+\.)?"  # the newer form: domain and account hash ...
    r"job_(?P<job>[1-9][0-9]{0,18})\.job-(?P=job)-consumer-([0-9]{1,10})"
    r"\.([0-9]{1,20})\.([0-9]{1,20})\.([0-9]{1,20})\.([0-9]{1,20})\.([0-9]{1,20})"
    r"(?(v2)(?:\.[^.]+)?)",  # ... and perhaps a random tail
    re.ASCII,
)


WAKE_SUBJECT: Final = "ami.wake"
"""On which it is told that tasks came up; no stream takes it."""


def stream_name(job_id: int) -> str:
    """The stream that holds a job's messages."""
    return f"job_{job_id}"


def parse_stream_name(name: str) -> int | None:
    """The job of a stream, or None for a stream that is not ours."""
    match = _STREAM.fullmatch(name)
    return int(match[1]) if match else None


def subject(job_id: int) -> str:
    """The subject on which a job's messages are published."""
    return f"job.{job_id}.tasks"


def consumer_name(job_id: int, epoch: int) -> str:
    """The durable pull consumer of one incarnation of a job's stream."""
    return f"job-{job_id}-consumer-{epoch}"


def message_id(job_id: int, epoch: int, image_id: int, reopened: int) -> str:
    """What makes a repeated publish of the same message a no-op within one epoch."""
    return f"{job_id}:{epoch}:{image_id}:{reopened}"


def pending_key(job_id: int, stage: Stage) -> str:
    """The Redis set of a job's images that are still open in a stage."""
    return f"job:{job_id}:pending_images:{stage}"


def failed_key(job_id: int) -> str:
    """The Redis set of a job's failed images."""
    return f"job:{job_id}:failed_images"


def total_key(job_id: int) -> str:
    """The Redis number of a job's images; the sets mean nothing without it."""
    return f"job:{job_id}:pending_images_total"


def parse_redis_key(key: str) -> int | None:
    """The job of one of the four keys above, or None for any other key."""
    match = _REDIS_KEY.fullmatch(key)
    return int(match[1]) if match else None


@dataclass(frozen=True, slots=True)
class DeliveryRef:
    """One delivery of one message: what is needed to acknowledge it, and nothing that a client wrote."""

    job_id: int
    epoch: int
    delivered: int  # 1 for the first delivery of this message
    stream_seq: int
    consumer_seq: int
    timestamp_ns: int
    pending: int  # messages that waited behind this one

    def ack_subject(self) -> str:
        """The subject on which the server takes ack, nak and in-progress for this delivery."""
        return (
            f"$JS.ACK.job_{self.job_id}.job-{self.job_id}-consumer-{self.epoch}"
            f".{self.delivered}.{self.stream_seq}.{self.consumer_seq}.{self.timestamp_ns}.{self.pending}"
        )


def parse_ack_subject(text: str) -> DeliveryRef:
    """Read the reply subject of a delivered message, in the server's old (9 tokens) or new (11, 12) form.

    Raises ValueError for everything else, also when stream and consumer name different jobs.
    """
    match = _ACK_SUBJECT.fullmatch(text)
    if match is None:
        raise ValueError("This is not the reply subject of a job's message.")
    return DeliveryRef(*map(int, match.groups()[1:]))

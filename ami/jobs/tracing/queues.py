"""What NATS and Redis say about one job. A server that is away is a fact like others."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace

from django.conf import settings

from ami.taskqueue import (
    AsyncJobStateManager,
    ConsumerState,
    PendingSnapshot,
    PendingStateUnavailable,
    QueueError,
    StandingTask,
    TaskQueueManager,
)

READ_AT_MOST = 10_000
"""Messages that are read to see which images stand in the queue (0.8 s); above, only counts tell."""

READ_SECONDS = 20.0
"""For a single image the whole stream is read, if need be; a full window takes about 4 s."""


@dataclass(frozen=True, slots=True)
class QueueFacts:
    """The job's stream. `away` says why nothing is known; `messages` is None without a stream.

    `unused`: the job has none, because its images are pushed to a service.
    """

    unused: bool = False
    away: str = ""
    messages: int | None = None
    consumer: ConsumerState | None = None
    standing: frozenset[StandingTask] | None = None
    """What is in the stream; None if it was not read."""

    @property
    def is_whole(self) -> bool:
        """Whether stream and consumer of the job's epoch are there."""
        return self.messages is not None and self.consumer is not None


@dataclass(frozen=True, slots=True)
class SetFacts:
    """The job's pending sets. `away` says why nothing is known; `snapshot` is None when there are none."""

    away: str = ""
    snapshot: PendingSnapshot | None = None


def look_at_queue(job_id: int, epoch: int, wanted: Collection[StandingTask]) -> QueueFacts:
    """What stands in the queue of this epoch; `wanted`: the tasks that matter, if only some do."""
    queue = TaskQueueManager()
    facts = QueueFacts()
    try:
        facts = QueueFacts(
            messages=queue.message_count(job_id),
            consumer=queue.consumer_state(job_id, epoch) if epoch else None,
        )
        if facts.is_whole and (wanted or (facts.messages or 0) <= READ_AT_MOST):
            standing = queue.standing_tasks(job_id, wanted, seconds=READ_SECONDS)
            facts = replace(facts, standing=standing)
    except QueueError as error:
        return replace(facts, away=error.message)
    return facts


def look_at_sets(job_id: int) -> SetFacts:
    """The counts of the pending sets."""
    try:
        return SetFacts(snapshot=AsyncJobStateManager(job_id).snapshot())
    except PendingStateUnavailable as error:
        return SetFacts(away=error.message)


def window_is_full(facts: QueueFacts) -> bool:
    """Whether so many messages stand in the queue that dispatch publishes no more for now."""
    return facts.messages is not None and facts.messages >= settings.DISPATCH_WINDOW / 2

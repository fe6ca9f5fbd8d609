"""What NATS and Redis say about one job. A server that is away is a fact like others."""

from __future__ import annotations

import time
from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor
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


@dataclass(frozen=True, slots=True)
class Patience:
    """How long NATS may take to answer, and how long its messages are read."""

    ask_seconds: float | None
    """For stream and consumer together; None: for each as long as any call."""
    read_at_most: int
    """Messages that are read to see which images stand in the queue; above, only counts tell."""
    read_seconds: float


THOROUGH = Patience(ask_seconds=None, read_at_most=10_000, read_seconds=20.0)
"""10,000 messages take 0.8 s; for a single image a full window is read, which takes about 4 s."""

QUICK = Patience(ask_seconds=0.8, read_at_most=2_000, read_seconds=0.5)
"""For a page that somebody waits for."""


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


def look_at_queue(
    job_id: int, epoch: int, wanted: Collection[StandingTask], patience: Patience
) -> QueueFacts:
    """What stands in the queue of this epoch; `wanted`: the tasks that matter, if only some do."""
    queue = TaskQueueManager()
    facts = QueueFacts()
    try:
        began = time.monotonic()
        messages = queue.message_count(job_id, seconds=patience.ask_seconds)
        left = patience.ask_seconds and max(0.05, patience.ask_seconds - (time.monotonic() - began))
        facts = QueueFacts(
            messages=messages,
            consumer=queue.consumer_state(job_id, epoch, seconds=left) if epoch else None,
        )
        if facts.is_whole and (wanted or (messages or 0) <= patience.read_at_most):
            standing = queue.standing_tasks(job_id, wanted, seconds=patience.read_seconds)
            facts = replace(facts, standing=standing)
    except QueueError as error:
        return replace(facts, away=error.message)
    return facts


def look_at_both(
    job_id: int, epoch: int, wanted: Collection[StandingTask], patience: Patience | None, *, unused: bool
) -> tuple[QueueFacts, SetFacts]:
    """NATS and Redis at the same time, so that two silent servers take no longer than one."""
    with ThreadPoolExecutor(1, thread_name_prefix="look-at-sets") as pool:
        sets = pool.submit(look_at_sets, job_id)
        queue = (
            QueueFacts(unused=True) if unused else look_at_queue(job_id, epoch, wanted, patience or THOROUGH)
        )
        return queue, sets.result()


def look_at_sets(job_id: int) -> SetFacts:
    """The counts of the pending sets."""
    try:
        return SetFacts(snapshot=AsyncJobStateManager(job_id).snapshot())
    except PendingStateUnavailable as error:
        return SetFacts(away=error.message)


def window_is_full(facts: QueueFacts) -> bool:
    """Whether so many messages stand in the queue that dispatch publishes no more for now."""
    return facts.messages is not None and facts.messages >= settings.DISPATCH_WINDOW / 2

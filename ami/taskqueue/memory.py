"""In-memory twins of `TaskQueueManager` and `AsyncJobStateManager`, with a clock that a test turns.

For property tests that need thousands of histories. `tests/test_conformance.py` runs the same cases against
these and against the real servers.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from ami.taskqueue.errors import PendingStateUnavailable, QueueMissing, QueueUnavailable
from ami.taskqueue.inspection import StreamSnapshot
from ami.taskqueue.messages import ReservedMessage, TaskMessage
from ami.taskqueue.names import DeliveryRef, Stage, message_id, stream_name
from ami.taskqueue.pending import PendingSnapshot, PendingUpdate
from ami.taskqueue.reading import StandingTask
from ami.taskqueue.reserving import ReserveRequest
from ami.taskqueue.settling import Ack, Action, Nak
from ami.taskqueue.streams import ConsumerState

_NS = 1_000_000_000


@dataclass(slots=True)
class _Message:
    task: TaskMessage
    delivered: int = 0
    invisible_until: float = 0.0


@dataclass(slots=True)
class _Stream:
    epoch: int
    created: datetime
    last_seq: int = 0
    deliveries: int = 0
    has_consumer: bool = True
    messages: dict[int, _Message] = field(default_factory=dict)
    known_until: dict[str, float] = field(default_factory=dict)

    @property
    def leased(self) -> int:
        return sum(message.delivered > 0 for message in self.messages.values())

    @property
    def redelivered(self) -> int:
        return sum(message.delivered > 1 for message in self.messages.values())


class MemoryTaskQueue:
    """`TaskQueueManager` without a server, method by method. Set `available` to False for an outage."""

    def __init__(
        self,
        *,
        lease_seconds: float = 300.0,
        max_ack_pending: int = 10_000,
        duplicate_window_seconds: float = 120.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.available = True
        self._lease_seconds = lease_seconds
        self._max_ack_pending = max_ack_pending
        self._duplicate_window_seconds = duplicate_window_seconds
        self._clock = clock
        self._streams: dict[int, _Stream] = {}

    @property
    def is_unavailable(self) -> bool:
        """Whether a call would fail at once."""
        return not self.available

    def create(self, job_id: int, epoch: int) -> None:
        self._check()
        self._streams[job_id] = _Stream(epoch, datetime.fromtimestamp(self._clock(), UTC))

    def exists(self, job_id: int, epoch: int) -> bool:
        return self._find(job_id, epoch) is not None

    def publish(self, job_id: int, epoch: int, tasks: Sequence[TaskMessage]) -> int:
        if not tasks:
            return 0
        stream = self._find(job_id)
        if stream is None:
            raise QueueMissing
        now = self._clock()
        for task in tasks:
            key = message_id(job_id, epoch, task.image_id, task.reopened)
            if stream.known_until.get(key, now) <= now:
                stream.known_until[key] = now + self._duplicate_window_seconds
                stream.last_seq += 1
                stream.messages[stream.last_seq] = _Message(task)
        return len(tasks)

    def reserve(
        self, requests: Sequence[ReserveRequest], timeout: float | None = None
    ) -> list[ReservedMessage]:
        wanted = [request for request in requests if request.count > 0]
        if wanted:
            self._check()
        return [message for request in wanted for message in self._pull(request)]

    def settle(self, actions: Sequence[Action], deadline: float | None = None) -> None:
        if actions:
            self._check()
        for action in actions:
            ref = action.delivery
            stream = self._find(ref.job_id, ref.epoch)
            message = stream.messages.get(ref.stream_seq) if stream else None
            if stream is None or message is None or not message.delivered:
                continue
            if isinstance(action, Ack):
                del stream.messages[ref.stream_seq]
            elif isinstance(action, Nak):
                message.invisible_until = self._clock() + max(action.delay, 0.0)
            else:
                message.invisible_until = self._clock() + self._lease_seconds

    def delete(self, job_id: int) -> bool:
        self._check()
        return self._streams.pop(job_id, None) is not None

    def consumer_state(self, job_id: int, epoch: int) -> ConsumerState | None:
        stream = self._find(job_id, epoch)
        if stream is None:
            return None
        waiting = len(stream.messages) - stream.leased
        is_full = stream.leased >= self._max_ack_pending
        return ConsumerState(waiting, stream.leased, stream.redelivered, is_full)

    def message_count(self, job_id: int) -> int | None:
        stream = self._find(job_id)
        return None if stream is None else len(stream.messages)

    def standing_tasks(
        self, job_id: int, wanted: Collection[StandingTask] = (), *, seconds: float = 0.0
    ) -> frozenset[StandingTask] | None:
        stream = self._find(job_id)
        if stream is None:
            return None
        return frozenset(StandingTask(m.task.image_id, m.task.run) for m in stream.messages.values())

    def list_streams(self) -> list[StreamSnapshot]:
        self._check()
        return [
            StreamSnapshot(
                job_id,
                stream_name(job_id),
                stream.created,
                len(stream.messages),
                bytes=0,
                consumer_count=int(stream.has_consumer),
            )
            for job_id, stream in sorted(self._streams.items())
        ]

    def redelivery_counts(self, job_ids: Sequence[int]) -> dict[int, int]:
        streams = {job_id: self._find(job_id) for job_id in job_ids}
        return {
            job_id: stream.redelivered if stream.has_consumer else 0
            for job_id, stream in streams.items()
            if stream
        }

    def lose_consumer(self, job_id: int) -> None:
        """As if the server had lost the consumer: what stands in the stream stays, nobody is handed any."""
        self._streams[job_id].has_consumer = False

    def lose_messages(self, job_id: int, keep: int = 0) -> None:
        """As if the server had lost messages: the oldest are gone, `keep` stay."""
        messages = self._streams[job_id].messages
        for seq in list(messages)[: max(len(messages) - keep, 0)]:
            del messages[seq]

    def _check(self) -> None:
        if not self.available:
            raise QueueUnavailable

    def _find(self, job_id: int, epoch: int | None = None) -> _Stream | None:
        """The job's stream; with an epoch, only if it has the consumer of that epoch."""
        self._check()
        stream = self._streams.get(job_id)
        if stream is None or epoch is None:
            return stream
        return stream if stream.has_consumer and stream.epoch == epoch else None

    def _pull(self, request: ReserveRequest) -> Iterator[ReservedMessage]:
        stream = self._find(request.job_id, request.epoch)
        if stream is None:
            return
        now = self._clock()
        visible = [seq for seq, message in stream.messages.items() if message.invisible_until <= now]
        again = [seq for seq in visible if stream.messages[seq].delivered]
        fresh = [seq for seq in visible if not stream.messages[seq].delivered]
        room = max(self._max_ack_pending - stream.leased, 0)
        for seq in [*again, *fresh[:room]][: request.count]:
            message = stream.messages[seq]
            message.delivered += 1
            message.invisible_until = now + self._lease_seconds
            stream.deliveries += 1
            counters = (message.delivered, seq, stream.deliveries, int(now * _NS), 0)
            delivery = DeliveryRef(request.job_id, request.epoch, *counters)
            yield ReservedMessage(request.job_id, message.task.run, message.task.image_id, delivery)


@dataclass(slots=True)
class _Pending:
    total: int
    open: dict[Stage, set[int]]
    failed: set[int]


class MemoryPendingSets:
    """`AsyncJobStateManager` without Redis, method by method; jobs live in a dictionary."""

    def __init__(self, job_id: int, store: dict[int, _Pending], *, available: bool = True) -> None:
        self.job_id = job_id
        self.available = available
        self._store = store

    def initialize(self, image_ids: Iterable[int], *, total: int, failed: Iterable[int] = ()) -> None:
        ids = list(image_ids)
        self.rebuild(pending_process=ids, pending_results=ids, failed=failed, total=total)

    def rebuild(
        self,
        *,
        pending_process: Iterable[int],
        pending_results: Iterable[int],
        failed: Iterable[int],
        total: int,
    ) -> None:
        self._state()
        still_open: dict[Stage, set[int]] = {"process": set(pending_process), "results": set(pending_results)}
        self._store[self.job_id] = _Pending(total, still_open, set(failed))

    def update(
        self, stage: Stage, settled: Sequence[int], failed: Sequence[int] = ()
    ) -> PendingUpdate | None:
        return self._apply({stage: settled}, failed)

    def settle_batch(
        self, processed: Sequence[int], saved: Sequence[int], failed: Sequence[int]
    ) -> PendingUpdate | None:
        return self._apply({"results": saved, "process": [*processed, *failed]}, failed)

    def snapshot(self) -> PendingSnapshot | None:
        state = self._state()
        if state is None:
            return None
        return PendingSnapshot(
            state.total, len(state.open["process"]), len(state.open["results"]), len(state.failed)
        )

    def pending_ids(self, stage: Stage) -> set[int]:
        state = self._state()
        return set(state.open[stage]) if state else set()

    def exists(self) -> bool:
        return self._state() is not None

    def delete(self) -> None:
        self._state()
        self._store.pop(self.job_id, None)

    def _state(self) -> _Pending | None:
        if not self.available:
            raise PendingStateUnavailable
        return self._store.get(self.job_id)

    def _apply(self, settled: dict[Stage, Sequence[int]], failed: Sequence[int]) -> PendingUpdate | None:
        state = self._state()
        if state is None:
            return None
        judged = next(iter(settled))
        removed = [i for i in dict.fromkeys([*settled[judged], *failed]) if i in state.open[judged]]
        state.failed |= state.open[judged].intersection(failed)
        for stage, ids in settled.items():
            state.open[stage] -= {*ids, *(failed if stage == judged else ())}
        remaining = max(len(state.open[stage]) for stage in settled)
        return PendingUpdate(
            remaining, state.total, state.total - remaining, len(state.failed), tuple(removed)
        )

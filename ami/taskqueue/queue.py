"""`TaskQueueManager`: the queue as the rest of AMI sees it. Synchronous, thread-safe, cheap to construct.

Every call has a deadline and raises QueueUnavailable when NATS is down, frozen or slow; at once while the
circuit breaker is open. Call it outside database transactions.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence

import structlog

from ami.base.metrics.counted import PUBLISHED, SETTLED
from ami.taskqueue import inspection, publishing, reading, reserving, settling, streams
from ami.taskqueue.config import QueueConfig, from_settings
from ami.taskqueue.errors import QueueError
from ami.taskqueue.inspection import StreamSnapshot
from ami.taskqueue.messages import ReservedMessage, TaskMessage
from ami.taskqueue.publishing import PublishWindow
from ami.taskqueue.reading import StandingTask
from ami.taskqueue.reserving import Pull, ReserveRequest
from ami.taskqueue.runtime import QueueRuntime, runtime
from ami.taskqueue.settling import Action
from ami.taskqueue.streams import ConsumerState

logger = structlog.get_logger(__name__)

_SLOWEST_PUBLISH = 500.0  # messages per second; sets the outermost limit of a publish that does make progress
_LISTING_TIMEOUTS = 5.0  # a listing of many streams may take this many operation timeouts


class TaskQueueManager:
    """All operations on the streams of jobs. Connection and breaker are shared per process."""

    def __init__(self, config: QueueConfig | None = None) -> None:
        """`config`: without one, that of the Django settings."""
        self.config = config or from_settings()

    @property
    def is_unavailable(self) -> bool:
        """Whether a call would fail at once now (open breaker): best-effort work can be skipped."""
        return self._runtime.breaker.is_open

    def create(self, job_id: int, epoch: int) -> None:
        """Delete what is left of the job's stream, then create stream and consumer of this epoch, once.

        Raises QueueUnavailable when the outcome is unclear: raise the epoch before trying again.
        """
        self._runtime.call(lambda connection: streams.create(connection, self.config, job_id, epoch))

    def exists(self, job_id: int, epoch: int) -> bool:
        """Whether stream AND consumer of that epoch exist."""
        return self._runtime.call(
            lambda connection: streams.exists(connection, job_id, epoch), repeat_safe=True
        )

    def publish(self, job_id: int, epoch: int, tasks: Sequence[TaskMessage]) -> int:
        """Publish in order; return how many leading tasks are stored for sure (copies count as stored).

        Raises QueueUnavailable or QueueMissing only when not even the first is. Safe to repeat from there.
        """
        if not tasks:
            return 0
        window = PublishWindow()
        try:
            self._runtime.call(
                lambda connection: publishing.publish(connection, self.config, job_id, epoch, tasks, window),
                seconds=self.config.operation_timeout + len(tasks) / _SLOWEST_PUBLISH,
            )
        except QueueError as error:
            if not window.stored:
                raise
            logger.warning(
                "taskqueue.publish_cut_short",
                job_id=job_id,
                stored=window.stored,
                asked=len(tasks),
                error=error.message,
            )
        PUBLISHED.inc(amount=window.stored)
        return window.stored

    def reserve(
        self, requests: Sequence[ReserveRequest], timeout: float | None = None
    ) -> list[ReservedMessage]:
        """Hand out what the jobs have, up to each request's count, in the order of the requests.

        A missing stream or consumer contributes nothing. Never waits for messages to come; `timeout` bounds
        the whole call (seconds). When NATS fails half-way, what arrived is returned; what comes later goes
        back.
        """
        pulls = [Pull(request, self.config.max_ack_pending) for request in requests if request.count > 0]
        if not pulls:
            return []
        failure: QueueError | None = None
        try:
            self._runtime.call(lambda connection: reserving.reserve(connection, pulls), seconds=timeout)
        except QueueError as error:
            failure = error
        messages = [message for pull in pulls for message in pull.take()]
        if failure is not None and not messages:
            raise failure
        return messages

    def settle(self, actions: Sequence[Action], deadline: float | None = None) -> None:
        """Ack, nak or extend a batch of deliveries in one round trip; `deadline` is in seconds from now.

        Returns only when the server has read all of it; raises QueueUnavailable otherwise. Safe to repeat.
        """
        if actions:
            self._runtime.call(
                lambda connection: settling.settle(connection, actions), seconds=deadline, repeat_safe=True
            )
            for kind, told in Counter(action.kind for action in actions).items():
                SETTLED.inc(kind, amount=told)

    def delete(self, job_id: int) -> bool:
        """Delete the job's stream with everything in it; False if it was not there. Safe to repeat."""
        return self._runtime.call(lambda connection: streams.delete(connection, job_id), repeat_safe=True)

    def consumer_state(self, job_id: int, epoch: int) -> ConsumerState | None:
        """What waits, is leased and was redelivered; None without a consumer of that epoch."""
        return self._runtime.call(
            lambda connection: streams.consumer_state(connection, job_id, epoch), repeat_safe=True
        )

    def message_count(self, job_id: int) -> int | None:
        """Messages standing in the stream (waiting or leased); None without a stream."""
        return self._runtime.call(
            lambda connection: streams.message_count(connection, job_id), repeat_safe=True
        )

    def standing_tasks(
        self, job_id: int, wanted: Collection[StandingTask] = (), *, seconds: float
    ) -> frozenset[StandingTask] | None:
        """The tasks whose messages stand in the stream, read without touching them; None without a stream.

        Costs about 80 µs a message, `seconds` at most; with `wanted` it ends once these were found.
        """
        return self._runtime.call(
            lambda connection: reading.standing_tasks(connection, job_id, wanted),
            seconds=seconds,
            repeat_safe=True,
        )

    def list_streams(self) -> list[StreamSnapshot]:
        """All streams of jobs on the server; other streams are not looked at."""
        return self._runtime.call(
            inspection.list_streams,
            seconds=self.config.operation_timeout * _LISTING_TIMEOUTS,
            repeat_safe=True,
        )

    def redelivery_counts(self, job_ids: Sequence[int]) -> dict[int, int]:
        """How many unacknowledged messages of these jobs were handed out more than once."""
        return self._runtime.call(
            lambda connection: inspection.redelivery_counts(connection, job_ids),
            seconds=self.config.operation_timeout * _LISTING_TIMEOUTS,
            repeat_safe=True,
        )

    @property
    def _runtime(self) -> QueueRuntime:
        return runtime(self.config)  # asked for each time: after a fork it is another one

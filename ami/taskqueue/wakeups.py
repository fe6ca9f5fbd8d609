"""Wake-ups: who waits for tasks hears at once that there are some, in whichever process they came up.

A plain NATS message on one subject, sent by whoever publishes, gives back or releases; each process listens
once, for all its waiters. Nothing depends on it: a wake-up that gets lost costs a waiter some seconds.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import orjson
import structlog
from nats.aio.msg import Msg

from ami.taskqueue.client import Connection
from ami.taskqueue.config import QueueConfig, from_settings
from ami.taskqueue.errors import QueueError
from ami.taskqueue.names import WAKE_SUBJECT
from ami.taskqueue.runtime import runtime

logger = structlog.get_logger(__name__)

Accepts = Callable[[str], bool]
"""Whether work on a topic is of interest to a waiter."""


class Waiter:
    """One caller who waits. It may be woken for nothing, and looks again then."""

    def __init__(self, accepts: Accepts, wanted: int) -> None:
        self.accepts = accepts
        self.wanted = wanted
        self._event = threading.Event()
        self._jobs: set[int] = set()

    def wake(self, job_id: int) -> None:
        """There may be tasks of this job now."""
        self._jobs.add(job_id)
        self._event.set()

    def wait(self, seconds: float) -> set[int]:
        """Sleep until woken, or for `seconds`; the jobs for which it was woken."""
        self._event.wait(seconds)
        self._event.clear()
        jobs, self._jobs = self._jobs, set()
        return jobs


class WakeUps:
    """All waiters of one process, for one configuration. Thread-safe."""

    def __init__(self, config: QueueConfig) -> None:
        self._config = config
        self._lock = threading.Lock()
        self._waiters: list[Waiter] = []
        self._listening_on: Connection | None = None

    @property
    def count(self) -> int:
        """How many wait in this process now."""
        return len(self._waiters)

    @contextmanager
    def waiting(self, accepts: Accepts, wanted: int) -> Iterator[Waiter]:
        """Be woken during a block; `wanted` is how many tasks this waiter would take.

        Enter it before the last look for tasks, so that what comes up in between is not missed. Raises
        QueueUnavailable when NATS cannot be listened to.
        """
        runtime(self._config).call(self._listen, repeat_safe=True)
        waiter = Waiter(accepts, wanted)
        with self._lock:
            self._waiters.append(waiter)
        try:
            yield waiter
        finally:
            with self._lock:
                self._waiters.remove(waiter)

    def announce(self, job_id: int, topic: str, count: int) -> None:
        """Tell all processes that `count` tasks of a job came up. Never raises."""
        message = orjson.dumps([job_id, topic, count])

        async def send(connection: Connection) -> None:
            await connection.client.publish(WAKE_SUBJECT, message)

        try:
            runtime(self._config).call(send)
        except QueueError as error:
            logger.info("wakeups.not_announced", job_id=job_id, error=error.message)

    async def _listen(self, connection: Connection) -> None:
        if self._listening_on is not connection:  # a client subscribes again by itself when it reconnects
            await connection.client.subscribe(WAKE_SUBJECT, cb=self._on_message)
            self._listening_on = connection

    async def _on_message(self, message: Msg) -> None:
        self._wake_from(message.data)

    def _wake_from(self, data: bytes) -> None:
        try:
            job_id, topic, count = orjson.loads(data)
            self._wake(int(job_id), str(topic), int(count))
        except (ValueError, TypeError):
            logger.warning("wakeups.unreadable")

    def _wake(self, job_id: int, topic: str, count: int) -> None:
        """Wake the longest waiting ones until what they want adds up to `count`; they go to the end."""
        with self._lock:
            woken = []
            for waiter in self._waiters:
                if count <= 0:
                    break
                if waiter.accepts(topic):
                    woken.append(waiter)
                    count -= waiter.wanted
            for waiter in woken:
                self._waiters.remove(waiter)
                self._waiters.append(waiter)
                waiter.wake(job_id)


_lock = threading.Lock()
_hubs: dict[QueueConfig, WakeUps] = {}


def wakeups(config: QueueConfig | None = None) -> WakeUps:
    """The wake-ups of this process; `config`: without one, that of the Django settings."""
    config = config or from_settings()
    found = _hubs.get(config)
    if found is None:
        with _lock:
            found = _hubs.setdefault(config, WakeUps(config))
    return found


def _forget_parent() -> None:
    global _lock, _hubs
    _lock, _hubs = threading.Lock(), {}


os.register_at_fork(after_in_child=_forget_parent)

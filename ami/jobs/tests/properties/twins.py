"""NATS and Redis of a life: the conformance-tested twins, or the real servers; either may be in trouble.

`put_in_place` changes the classes themselves, so it does not matter which modules hold their names.
"""

from __future__ import annotations

import inspect
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

import pytest

from ami.base import clock
from ami.taskqueue import (
    AsyncJobStateManager,
    DeliveryRef,
    Nak,
    OpenLeases,
    Pace,
    PendingStateUnavailable,
    QueueUnavailable,
    ReservedMessage,
    TaskQueueManager,
    WakeUps,
    api,
    from_settings,
    list_job_ids_with_state,
    open_leases,
    pending,
)
from ami.taskqueue.memory import MemoryPendingSets, MemoryTaskQueue
from ami.taskqueue.memory_leases import MemoryOpenLeases
from ami.taskqueue.names import consumer_name, stream_name
from ami.taskqueue.redis_client import shared_client
from ami.taskqueue.runtime import QueueRuntime, runtime

Client = TaskQueueManager | AsyncJobStateManager | OpenLeases
TWINS: dict[type[Any], type[Any]] = {
    TaskQueueManager: MemoryTaskQueue,
    AsyncJobStateManager: MemoryPendingSets,
    OpenLeases: MemoryOpenLeases,
}


class Trouble(StrEnum):
    """How a server is doing."""

    NONE = "well"
    AWAY = "away"
    MUTE = "mute"
    """It does what it is asked, and the answer gets lost."""


class Dead(BaseException):
    """The process was killed: whatever its code still tries, nothing of it happens."""


class Servers(ABC):
    """NATS and Redis, as far as a life needs to know."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Begin a life: nothing stored, no trouble."""
        self.nats = self.redis = Trouble.NONE
        self.caller_is_dead = False
        self.passed = 0.0
        self._born: dict[int, float] = {}
        """When each stream was created; of time that has passed, the past moves back."""

    def ask(self, client: Client, name: str, real: Callable[..., Any], arguments: Any, named: Any) -> Any:
        """Have a server do something for a client, or fail to."""
        if self.caller_is_dead:
            raise Dead
        answer = self.perform(client, name, real, arguments, named)
        if name == "create":
            self._born[arguments[0]] = self.passed
        if name == "list_streams":
            answer = [replace(stream, created=self._created(stream.job_id)) for stream in answer]
        if self.trouble(client) is Trouble.MUTE:
            raise _failure(client)
        return answer

    def trouble(self, client: Client) -> Trouble:
        """How the server is doing that this client talks to."""
        return self.nats if isinstance(client, TaskQueueManager) else self.redis

    @abstractmethod
    def perform(self, client: Client, name: str, real: Callable[..., Any], arguments: Any, named: Any) -> Any:
        """Do it, or raise what a client raises whose server is away."""

    def put_in_place(self, patch: pytest.MonkeyPatch) -> None:
        """Lead every call of queue, pending sets and open leases here."""
        for kind in TWINS:
            for name, real in _public(kind):
                patch.setattr(kind, name, self._through(name, real))
        patch.setattr(TaskQueueManager, "is_unavailable", property(lambda _: self.nats is Trouble.AWAY))

    def _through(self, name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(client: Client, *arguments: Any, **named: Any) -> Any:
            return self.ask(client, name, real, arguments, named)

        return call

    def pass_time(self, seconds: float) -> None:
        """So much time goes by."""
        self.passed += seconds

    def _created(self, job_id: int) -> datetime:
        return clock.now() - timedelta(seconds=self.passed - self._born[job_id])

    @abstractmethod
    def lose_consumer(self, job_id: int, epoch: int) -> None:
        """NATS loses the consumer of a stream."""

    @abstractmethod
    def lose_messages(self, job_id: int, keep: int) -> None:
        """NATS loses the oldest messages of a stream."""

    @abstractmethod
    def flush_redis(self) -> None:
        """Redis loses everything."""

    @abstractmethod
    def standing(self, job_id: int) -> set[tuple[int, int]] | None:
        """Images and runs whose messages stand in a job's stream; None: nobody can tell."""


class Twins(Servers):
    """All in memory."""

    def __init__(self, lease_seconds: float) -> None:
        self._lease_seconds = lease_seconds
        super().__init__()

    def reset(self) -> None:
        super().reset()
        self.queue = MemoryTaskQueue(lease_seconds=self._lease_seconds, clock=self._clock)
        self.leases = MemoryOpenLeases(clock=self._clock)
        self.sets: dict[int, Any] = {}

    def _clock(self) -> float:
        return self.passed

    def perform(self, client: Client, name: str, real: Callable[..., Any], arguments: Any, named: Any) -> Any:
        twin = self._twin(client)
        twin.available = self.trouble(client) is not Trouble.AWAY
        return getattr(twin, name)(*arguments, **named)

    def _twin(self, client: Client) -> MemoryTaskQueue | MemoryPendingSets | MemoryOpenLeases:
        if isinstance(client, TaskQueueManager):
            return self.queue
        return self.leases if isinstance(client, OpenLeases) else MemoryPendingSets(client.job_id, self.sets)

    def put_in_place(self, patch: pytest.MonkeyPatch) -> None:
        for kind, twin in TWINS.items():
            missing = [name for name, _ in _public(kind) if not hasattr(twin, name)]
            assert not missing, f"{twin.__name__} lacks {missing}"
        super().put_in_place(patch)
        real_list = list_job_ids_with_state
        for module in list(sys.modules.values()):
            if getattr(module, "list_job_ids_with_state", None) is real_list:
                patch.setattr(module, "list_job_ids_with_state", lambda: sorted(self.sets))
        patch.setattr(WakeUps, "announce", lambda *_: None)
        patch.setattr(QueueRuntime, "call", _must_not_be_called)
        patch.setattr(pending, "shared_client", lambda: None)
        patch.setattr(open_leases, "shared_client", lambda: None)
        patch.setattr(Pace, "note", lambda *_: None)

    def lose_consumer(self, job_id: int, epoch: int) -> None:
        self.queue.lose_consumer(job_id)

    def lose_messages(self, job_id: int, keep: int) -> None:
        self.queue.lose_messages(job_id, keep)

    def flush_redis(self) -> None:
        self.sets.clear()
        self.leases.flush()

    def standing(self, job_id: int) -> set[tuple[int, int]] | None:
        self.queue.available = True
        return {(task.image_id, task.run) for task in self.queue.standing_tasks(job_id) or ()}


class RealServers(Servers):
    """Those of the test session. Time that only the test sees is made up for message by message."""

    def __init__(self) -> None:
        self._settle = TaskQueueManager.settle  # as it is without trouble
        self._handed_out: list[DeliveryRef] = []
        super().__init__()

    def reset(self) -> None:
        super().reset()
        self._handed_out.clear()
        for snapshot in TaskQueueManager().list_streams():
            TaskQueueManager().delete(snapshot.job_id)
        shared_client().flushall()

    def perform(self, client: Client, name: str, real: Callable[..., Any], arguments: Any, named: Any) -> Any:
        if self.trouble(client) is Trouble.AWAY:
            raise _failure(client)
        answer = real(client, *arguments, **named)
        if isinstance(client, TaskQueueManager) and name == "reserve":
            messages: Sequence[ReservedMessage] = answer
            self._handed_out += [message.delivery for message in messages]
        return answer

    def pass_time(self, seconds: float) -> None:
        """Whatever was handed out may be handed out again; the ledger knows better when it is too early."""
        super().pass_time(seconds)
        self._settle(TaskQueueManager(), [Nak(delivery) for delivery in self._handed_out])
        self._handed_out.clear()
        client = shared_client()
        for key in client.scan_iter(match="leases:*"):
            scored: Any = client.zrange(key, 0, -1, withscores=True)
            for member, end in scored:
                client.zadd(key, {member: end - seconds})

    def lose_consumer(self, job_id: int, epoch: int) -> None:
        self._ask(f"CONSUMER.DELETE.{stream_name(job_id)}.{consumer_name(job_id, epoch)}")

    def lose_messages(self, job_id: int, keep: int) -> None:
        self._ask(f"STREAM.PURGE.{stream_name(job_id)}", {"keep": keep})

    def flush_redis(self) -> None:
        shared_client().flushall()

    def standing(self, job_id: int) -> set[tuple[int, int]] | None:
        return None

    def _ask(self, call: str, body: dict[str, int] | None = None) -> None:
        runtime(from_settings()).call(lambda link: api.request(link, call, body))


def _failure(client: Client) -> Exception:
    return QueueUnavailable() if isinstance(client, TaskQueueManager) else PendingStateUnavailable()


def _public(kind: type[Any]) -> Iterator[tuple[str, Callable[..., Any]]]:
    for name, member in inspect.getmembers(kind, inspect.isfunction):
        if not name.startswith("_"):
            yield name, member


def _must_not_be_called(*_: object, **__: object) -> None:
    pytest.fail("Something went past the twins to a real server.")

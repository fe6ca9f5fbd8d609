"""What all managers of one process share for one configuration: the connection pool and the circuit breaker.

`QueueRuntime.call` is the one way from sync code to NATS: breaker, loop thread, connection, deadline, and
repetition where it is safe.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import CancelledError
from typing import TypeVar

from ami.base.metrics.counted import QUEUE_FAILED
from ami.taskqueue import event_loop
from ami.taskqueue.circuit_breaker import CircuitBreaker
from ami.taskqueue.client import Connection
from ami.taskqueue.config import QueueConfig
from ami.taskqueue.connection import ConnectionPool
from ami.taskqueue.errors import QueueBusy, QueueError, QueueUnavailable
from ami.taskqueue.retries import retry_on_connection_error

T = TypeVar("T")
Operation = Callable[[Connection], Awaitable[T]]

_MARGIN = 0.05  # seconds by which the loop thread's hard stop comes after the connection's own limit
_PROBE_SECONDS = 0.2  # a probe asks the server for a sign of life before it sends anything else


class QueueRuntime:
    """Pool and breaker of one configuration; thread-safe."""

    def __init__(self, config: QueueConfig) -> None:
        self.config = config
        self.breaker = CircuitBreaker(config.breaker_open_seconds)
        self.pool = ConnectionPool(config, on_alive=self.breaker.succeed)

    def call(self, operation: Operation[T], *, seconds: float | None = None, repeat_safe: bool = False) -> T:
        """Run `operation(connection)` on the loop thread and return its result.

        `seconds` bounds everything, connecting included (default: the configured operation timeout).
        `repeat_safe` operations are repeated while the connection comes back; the others wait for a
        connection but are sent once. Raises QueueUnavailable; at once while the breaker is open.
        """
        try:
            return self._call(operation, seconds, repeat_safe)
        except QueueUnavailable:
            QUEUE_FAILED.inc()
            raise

    def _call(self, operation: Operation[T], seconds: float | None, repeat_safe: bool) -> T:
        limit = self.config.operation_timeout if seconds is None else seconds
        is_probe = self.breaker.admit()

        async def perform() -> T:
            return await self._report(self._perform(operation, limit, is_probe, repeat_safe), is_probe)

        try:
            return event_loop.run(perform, limit + _MARGIN)
        except (TimeoutError, CancelledError) as error:
            self.breaker.fail()
            raise QueueUnavailable(f"NATS did not answer within {limit:.2f} s.") from error

    async def _report(self, work: Awaitable[T], is_probe: bool) -> T:
        """Tell the breaker how it went; on the loop, so in order with the connection's signs of life."""
        try:
            result = await work
        except QueueBusy:
            self.breaker.succeed()  # the server is alive and said why not
            raise
        except (QueueUnavailable, TimeoutError):
            self.breaker.fail()
            raise
        except QueueError:
            self.breaker.succeed()
            raise
        except BaseException:
            if is_probe:
                self.breaker.fail()  # it proved nothing
            raise
        self.breaker.succeed()
        return result

    async def _perform(self, operation: Operation[T], limit: float, is_probe: bool, repeat_safe: bool) -> T:
        clock = asyncio.get_running_loop().time
        end = clock() + limit
        # A probe does not wait for a reconnect: the reconnect itself closes the breaker.
        connect_until = clock() if is_probe else end

        async def connect() -> Connection:
            async with asyncio.timeout_at(end):
                connection = await self.pool.get_connection()
            if is_probe:
                async with connection.limit(min(_PROBE_SECONDS, limit)):
                    await connection.barrier()
            return connection

        async def attempt() -> T:
            connection = await retry_on_connection_error(connect, until=connect_until)
            async with connection.limit(end - clock()):
                return await operation(connection)

        return await retry_on_connection_error(attempt, until=connect_until if repeat_safe else clock())


_lock = threading.Lock()
_runtimes: dict[QueueConfig, QueueRuntime] = {}
_inherited: list[dict[QueueConfig, QueueRuntime]] = []  # kept for ever, see event_loop


def runtime(config: QueueConfig) -> QueueRuntime:
    """The runtime of this configuration in this process."""
    found = _runtimes.get(config)
    if found is None:
        with _lock:
            found = _runtimes.setdefault(config, QueueRuntime(config))
    return found


async def _close_connections() -> None:
    await asyncio.gather(*(known.pool.reset_connection() for known in list(_runtimes.values())))


def _forget_parent() -> None:
    global _lock, _runtimes
    _inherited.append(_runtimes)
    _lock, _runtimes = threading.Lock(), {}


event_loop.at_shutdown(_close_connections)
os.register_at_fork(after_in_child=_forget_parent)

"""One connection to NATS that heals by itself and does not lie.

nats-py is used with options and precautions that its defaults do not give (each was seen to matter):
`connect()` to a refused port waits for ever, so it runs as a background task on which callers wait with their
own deadline; nothing is buffered while disconnected (`pending_size=0`), so that a lost server shows at once;
`flush()` is never called, see `Connection.barrier`.
"""

from __future__ import annotations

import asyncio
import os
import socket
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from contextvars import Context
from itertools import count

import structlog
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error as NatsError
from nats.errors import UnexpectedEOF

from ami.taskqueue.config import QueueConfig
from ami.taskqueue.errors import ConnectionLost, QueueUnavailable
from ami.taskqueue.listening import GONE

logger = structlog.get_logger(__name__)

_RECONNECT_WAIT = 0.1  # seconds between attempts to reconnect
_PING_INTERVAL = 5  # seconds; with one outstanding ping a frozen server is noticed after twice that
_STUCK_SECONDS = 30.0  # a client that has not reconnected by then is replaced, whatever hinders it
_LATE_ANSWER_SECONDS = 30.0
_CANCELLATIONS = 5
"""Times that a reconnection is told to end, should it not listen."""
_GOODBYE_SECONDS = 0.3


class Connection:
    """One NATS client, with what nats-py does not tell: when it was lost, whether the server has read us."""

    def __init__(self, config: QueueConfig, on_alive: Callable[[], None]) -> None:
        self.client = Client()
        self._config = config
        self._on_alive = on_alive
        self._losses = 0
        self._reason = "not connected yet"
        self._closing = False
        self._timers: set[asyncio.Timeout] = set()
        self._watches: set[asyncio.Task[None]] = set()
        self._down_since = time.monotonic()
        self._first_outcome = asyncio.Event()
        self._echo_subject = self.client.new_inbox()
        self._echoes: dict[bytes, asyncio.Future[None]] = {}
        self._echo_numbers = count(1)
        # In a context of its own: the connection outlives the request that needed it first, and what it logs
        # much later must not bear the id of that one.
        self._connecting = asyncio.create_task(self._connect(), context=Context())

    @property
    def is_spent(self) -> bool:
        """Whether this client will never connect again and has to be replaced."""
        if self.client.is_connected:
            return False
        if self._connecting.done() and self.client.is_closed:
            return True
        return time.monotonic() - self._down_since > _STUCK_SECONDS

    async def ready(self) -> None:
        """Wait for the outcome of a first connect under way. Raises ConnectionLost unless connected."""
        await self._first_outcome.wait()
        self.check()

    def check(self) -> None:
        """Raise ConnectionLost unless the client is connected now."""
        if not self.client.is_connected:
            raise ConnectionLost(server=self._config.safe_url, reason=self._reason)

    @asynccontextmanager
    async def limit(self, seconds: float) -> AsyncIterator[None]:
        """Run a block against the server for at most `seconds`; a lost connection ends it at once.

        Raises ConnectionLost or QueueUnavailable in place of what nats-py raises.
        """
        losses = self._losses
        self.check()
        try:
            async with asyncio.timeout(seconds) as timer:
                self._timers.add(timer)
                try:
                    yield
                finally:
                    self._timers.discard(timer)
        except TimeoutError as error:
            if losses != self._losses:
                raise ConnectionLost from error
            self._watch_for_life()
            raise QueueUnavailable(f"NATS did not answer within {seconds:.2f} s.") from error
        except GONE as error:
            raise ConnectionLost from error

    async def barrier(self) -> None:
        """Wait until the server has read everything sent so far; raises ConnectionLost if that is not sure.

        A message to ourselves proves it when it comes back: the server reads in order, whoever else listens.
        nats-py's `flush()` does not: its PING overtakes publishes that are still buffered, it returns at once
        while disconnected, and a PONG after its timeout ends the client's reading for good.
        """
        losses = self._losses
        self.check()
        number = str(next(self._echo_numbers)).encode()
        echo = self._echoes[number] = asyncio.get_running_loop().create_future()
        try:
            await self.client.publish(self._echo_subject, number)
            async with asyncio.timeout(_LATE_ANSWER_SECONDS):
                await echo
        finally:
            del self._echoes[number]
        if losses != self._losses:
            raise ConnectionLost
        self.check()

    async def close(self) -> None:
        """Let the server read what was sent (for a short time), then close, even if cancelled meanwhile."""
        self._closing = True
        self._connecting.cancel()
        try:
            await asyncio.wait({self._connecting}, timeout=_GOODBYE_SECONDS)
            with suppress(QueueUnavailable):
                async with self.limit(_GOODBYE_SECONDS):
                    await self.barrier()
            if self.client.is_connected or self.client.is_connecting or self.client.is_reconnecting:
                with suppress(NatsError, OSError):
                    await self.client.close()
            await self._end_reconnecting()
        finally:
            for watch in self._watches:
                watch.cancel()
            self._close_socket()

    async def _end_reconnecting(self) -> None:
        """See to it that nats-py tries no longer: it may lose a cancellation, and would try for ever.

        Python's `wait_for` drops a cancellation that comes together with the answer, such as a refusal.
        """
        task = self.client._reconnection_task
        for _ in range(_CANCELLATIONS):
            if task is None or task.done():
                return
            task.cancel()
            await asyncio.wait({task}, timeout=_GOODBYE_SECONDS / _CANCELLATIONS)

    def _close_socket(self) -> None:
        if self.client._transport is not None:
            self.client._transport.close()  # type: ignore[no-untyped-call]

    def _watch_for_life(self) -> None:
        """Ask once and wait long: the answer, however late, is the sign of life that closes the breaker."""
        if not self._watches:
            watch = asyncio.create_task(self._report_life())
            self._watches.add(watch)
            watch.add_done_callback(self._watches.discard)

    async def _report_life(self) -> None:
        with suppress(NatsError, QueueUnavailable, TimeoutError):
            await self.barrier()
            self._on_alive()

    async def _on_echo(self, message: Msg) -> None:
        echo = self._echoes.get(message.data)
        if echo is not None and not echo.done():
            echo.set_result(None)

    async def _connect(self) -> None:
        try:
            await self.client.connect(
                servers=self._config.servers,
                name=f"{socket.gethostname()}:{os.getpid()}",
                allow_reconnect=True,
                max_reconnect_attempts=-1,
                reconnect_time_wait=_RECONNECT_WAIT,  # type: ignore[arg-type]  # seconds, a float does
                connect_timeout=self._config.operation_timeout,  # type: ignore[arg-type]  # likewise
                ping_interval=_PING_INTERVAL,
                max_outstanding_pings=1,
                pending_size=0,
                drain_timeout=1,
                skip_subject_validation=True,  # every subject is made in names.py
                error_cb=self._on_error,
                disconnected_cb=self._on_disconnected,
                reconnected_cb=self._on_connected,
                closed_cb=self._on_closed,
            )
            await self.client.subscribe(self._echo_subject, cb=self._on_echo)
        except Exception as error:  # noqa: BLE001 - whatever it is, those who wait for a connection must learn it
            await self._on_error(error)
        else:
            await self._on_connected()

    async def _on_connected(self) -> None:
        self._reason = "the connection was lost"
        self._first_outcome.set()
        logger.info("taskqueue.connected", server=self._config.safe_url, client_id=self.client.client_id)
        self._on_alive()

    async def _on_disconnected(self) -> None:
        self._losses += 1
        self._down_since = time.monotonic()
        for timer in self._timers:  # what waits for an answer need not wait any longer
            if not timer.expired():
                timer.reschedule(asyncio.get_running_loop().time())
        for watch in self._watches:
            watch.cancel()
        if not self._closing:
            logger.warning("taskqueue.disconnected", server=self._config.safe_url)

    async def _on_error(self, error: Exception) -> None:
        if isinstance(error, UnexpectedEOF):
            return  # `_on_disconnected` follows
        reason = _describe(error)
        if reason != self._reason:  # an outage repeats itself ten times a second
            logger.warning("taskqueue.client_error", server=self._config.safe_url, error=reason)
        self._reason = reason
        self._first_outcome.set()
        if not self.client.is_connected:
            self._close_socket()  # nats-py leaves that of a failed reconnect open

    async def _on_closed(self) -> None:
        logger.info("taskqueue.connection_closed", server=self._config.safe_url)


def _describe(error: Exception) -> str:
    """Name an error for people; texts of unknown errors stay out, they may quote a URL with credentials."""
    if isinstance(error, TimeoutError):
        return "the server does not answer"
    text = str(error) if isinstance(error, OSError | NatsError) else ""
    return f"{type(error).__name__} {text}".strip()

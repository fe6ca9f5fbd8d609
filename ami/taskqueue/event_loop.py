"""One event loop on one daemon thread per process: where sync Django meets async NATS.

Sync code hands a coroutine to `run`, with a hard deadline. The loop lives as long as the process, so its
connection is really reused. A forked child forgets its parent's loop and starts its own on first use: the
thread does not exist there, and the sockets belong to the parent.
"""

from __future__ import annotations

import asyncio
import atexit
import os
import selectors
import threading
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from typing import Any, TypeVar

T = TypeVar("T")

_GRACE = 0.25  # seconds that an expired coroutine gets to clean up before its caller leaves without it
_SHUTDOWN_SECONDS = 1.0


class LoopThread:
    """A running event loop on a daemon thread of this process."""

    def __init__(self) -> None:
        self.pid = os.getpid()
        self._selector = selectors.DefaultSelector()
        self.loop: asyncio.AbstractEventLoop = asyncio.SelectorEventLoop(self._selector)
        self._thread = threading.Thread(target=self._work, name="taskqueue-loop", daemon=True)
        self._thread.start()

    @property
    def is_usable(self) -> bool:
        """Whether the thread runs, and runs in this very process."""
        return self.pid == os.getpid() and self._thread.is_alive()

    def run(self, factory: Callable[[], Coroutine[Any, Any, T]], deadline: float) -> T:
        """Run `factory()` on the loop and return its result; at most `deadline` seconds, whatever happens.

        Raises what the coroutine raises, and TimeoutError when it is not done in time (it is cancelled then).
        """
        if threading.current_thread() is self._thread:
            raise RuntimeError("The queue cannot be called synchronously from its own event loop.")
        future = asyncio.run_coroutine_threadsafe(_bounded(factory, deadline), self.loop)
        try:
            return future.result(deadline + _GRACE)
        finally:
            future.cancel()  # no effect on a finished call; stops one that its caller abandons, as by Ctrl-C

    def close(self, last: Callable[[], Awaitable[None]]) -> None:
        """Await `last()` for a bounded time, cancel what still runs, stop the loop and join the thread."""
        asyncio.run_coroutine_threadsafe(self._wind_up(last), self.loop)
        self._thread.join(_SHUTDOWN_SECONDS + 2 * _GRACE)

    def abandon(self) -> None:
        """Make sure that nothing this (forked) process does can reach the parent's selector."""
        with suppress(OSError):  # some systems do not inherit it in the first place
            self._selector.close()

    def _work(self) -> None:
        asyncio.set_event_loop(self.loop)
        try:
            self.loop.run_forever()
        finally:
            self.loop.close()

    async def _wind_up(self, last: Callable[[], Awaitable[None]]) -> None:
        try:
            async with asyncio.timeout(_SHUTDOWN_SECONDS):
                await last()
        except TimeoutError:
            pass  # the server does not say goodbye; the process ends all the same
        finally:
            others = asyncio.all_tasks() - {asyncio.current_task()}
            for task in others:
                task.cancel()
            if others:
                await asyncio.wait(others, timeout=_GRACE)
            await asyncio.sleep(0)  # sockets that were closed just now are let go in the next round
            self.loop.stop()


async def _bounded(factory: Callable[[], Coroutine[Any, Any, T]], deadline: float) -> T:
    async with asyncio.timeout(deadline):
        return await factory()


_lock = threading.Lock()
_current: LoopThread | None = None
_farewells: list[Callable[[], Awaitable[None]]] = []
_inherited: list[LoopThread] = []  # kept for ever: destroying a parent's transports would touch its sockets


def loop_thread() -> LoopThread:
    """The loop thread of this process, started on first use."""
    global _current
    current = _current
    if current is not None and current.is_usable:
        return current
    with _lock:
        if _current is None or not _current.is_usable:
            if _current is not None and _current.pid != os.getpid():
                _inherited.append(_current)
            _current = LoopThread()
        return _current


def run(factory: Callable[[], Coroutine[Any, Any, T]], deadline: float) -> T:
    """Run a coroutine on this process's loop thread; see `LoopThread.run`."""
    return loop_thread().run(factory, deadline)


def at_shutdown(farewell: Callable[[], Awaitable[None]]) -> None:
    """Have `farewell()` awaited on the loop before it stops."""
    _farewells.append(farewell)


def shutdown() -> None:
    """Drain and stop this process's loop thread, if there is one. The next call starts a new one."""
    global _current
    with _lock:
        current, _current = _current, None
    if current is not None and current.is_usable:
        current.close(_say_farewell)


async def _say_farewell() -> None:
    await asyncio.gather(*(farewell() for farewell in _farewells))


def _forget_parent() -> None:
    global _lock, _current
    _lock = threading.Lock()  # the inherited one may be held by a thread that does not exist here
    if _current is not None:
        _current.abandon()
        _inherited.append(_current)
    _current = None


atexit.register(shutdown)
os.register_at_fork(after_in_child=_forget_parent)

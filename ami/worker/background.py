"""Threads for calls that run beside the main one, and that never hold up the end of the process."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future, wait
from typing import TypeVar

Answer = TypeVar("Answer")

LOOK_SECONDS = 0.1


class BackgroundThreads:
    """Unlike a ThreadPoolExecutor, which waits at exit for a poll or a download that takes its time."""

    def __init__(self, name: str, count: int = 1) -> None:
        self._calls: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._count = count
        for _ in range(count):
            threading.Thread(target=self._run, name=name, daemon=True).start()

    def submit(self, call: Callable[[], Answer]) -> Future[Answer]:
        """Run `call` as soon as a thread is free; one thread runs its calls in order."""
        future: Future[Answer] = Future()

        def run() -> None:
            try:
                future.set_result(call())
            except BaseException as error:  # noqa: BLE001 - it belongs to whoever asks for the result
                future.set_exception(error)

        self._calls.put(run)
        return future

    def close(self) -> None:
        """End the threads after what was submitted; does not wait for them."""
        for _ in range(self._count):
            self._calls.put(None)

    def _run(self) -> None:
        while (call := self._calls.get()) is not None:
            call()


def await_result(future: Future[Answer], give_up: Callable[[], bool]) -> Answer | None:
    """The result of a call, or None as soon as `give_up` says so; raises what the call raised."""
    while not wait([future], LOOK_SECONDS).done:
        if give_up():
            return None
    return future.result()

"""The loop thread keeps every deadline, survives its callers, and stops cleanly."""

from __future__ import annotations

import asyncio
import signal
import threading
import time

import pytest

from ami.taskqueue import event_loop
from ami.taskqueue.tests.waiting import stopwatch, wait_for


async def _answer() -> int:
    await asyncio.sleep(0)
    return 42


async def _never(gone: threading.Event) -> None:
    try:
        await asyncio.Event().wait()
    finally:
        gone.set()


def test_sync_code_gets_the_result() -> None:
    assert event_loop.run(_answer, 1.0) == 42


def test_an_error_reaches_the_caller_as_it_is() -> None:
    async def fail() -> None:
        raise LookupError("as it is")

    with pytest.raises(LookupError, match="as it is"):
        event_loop.run(fail, 1.0)


def test_all_threads_share_one_loop() -> None:
    async def which() -> int:
        return id(asyncio.get_running_loop())

    seen: set[int] = set()
    threads = [threading.Thread(target=lambda: seen.add(event_loop.run(which, 1.0))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(seen) == 1


def test_what_takes_longer_than_its_deadline_is_cancelled() -> None:
    gone = threading.Event()

    def call() -> None:
        with pytest.raises(TimeoutError):
            event_loop.run(lambda: _never(gone), 0.1)

    assert stopwatch(call) < 0.5
    assert gone.wait(1.0)


def test_a_loop_that_is_stuck_does_not_hold_its_caller() -> None:
    released = threading.Event()

    async def block_the_loop() -> None:
        released.wait(5.0)

    def call() -> None:
        with pytest.raises(TimeoutError):
            event_loop.run(block_the_loop, 0.1)

    try:
        assert stopwatch(call) < 0.8
    finally:
        released.set()
    assert event_loop.run(_answer, 1.0) == 42


def test_an_interrupted_caller_leaves_nothing_running_and_the_loop_usable() -> None:
    gone = threading.Event()
    main = threading.main_thread().ident
    assert main is not None
    ctrl_c = threading.Timer(0.1, lambda: signal.pthread_kill(main, signal.SIGINT))
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # shells ignore it in the background
    try:
        ctrl_c.start()
        with pytest.raises(KeyboardInterrupt):
            event_loop.run(lambda: _never(gone), 10.0)
        ctrl_c.join()
    finally:
        signal.signal(signal.SIGINT, before)
    assert gone.wait(1.0)
    assert event_loop.run(_answer, 1.0) == 42


def test_a_sync_call_from_the_loop_itself_is_refused_instead_of_hanging() -> None:
    async def call_itself() -> None:
        event_loop.run(_answer, 1.0)

    with pytest.raises(RuntimeError, match="own event loop"):
        event_loop.run(call_itself, 1.0)


def test_after_a_shutdown_nothing_is_left_and_the_next_call_starts_anew() -> None:
    event_loop.run(_answer, 1.0)
    gone = threading.Event()
    asyncio.run_coroutine_threadsafe(_never(gone), event_loop.loop_thread().loop)
    event_loop.shutdown()
    assert gone.is_set()
    wait_for(lambda: not any(thread.name == "taskqueue-loop" for thread in threading.enumerate()))
    event_loop.shutdown()
    assert event_loop.run(_answer, 1.0) == 42


def test_a_farewell_that_hangs_does_not_hold_the_exit(monkeypatch: pytest.MonkeyPatch) -> None:
    gone = threading.Event()
    monkeypatch.setattr(event_loop, "_farewells", [*event_loop._farewells, lambda: _never(gone)])
    monkeypatch.setattr(event_loop, "_SHUTDOWN_SECONDS", 0.2)
    event_loop.run(_answer, 1.0)
    begun = time.monotonic()
    event_loop.shutdown()
    assert time.monotonic() - begun < 1.0
    assert gone.is_set()

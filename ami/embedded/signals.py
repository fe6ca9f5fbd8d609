"""An orderly end when somebody presses Ctrl-C, or a supervisor says stop."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextlib.contextmanager
def signals_end_this() -> Iterator[None]:
    """Turn a signal into SystemExit with the exit code that shells expect."""

    def end(number: int, _: FrameType | None) -> None:
        for each in SIGNALS:
            signal.signal(each, signal.SIG_IGN)  # the end has begun; a second signal must not cut it short
        raise SystemExit(128 + number)

    # Set even if they are ignored: scripts start background commands that way.
    before = {number: signal.signal(number, end) for number in SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)

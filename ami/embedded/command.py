"""Runs one command in the foreground: with our signals, with its exit code, and nothing of it left behind."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import FrameType

from ami.embedded.process import spawn
from ami.embedded.processes import end_group

FORWARDED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2)
FROM_THE_KEYBOARD = {signal.SIGINT, signal.SIGQUIT}
LEFTOVER_SECONDS = 5.0


def run(argv: Sequence[str], environment: Mapping[str, str]) -> int:
    """Run it to its end with these variables added; returns its exit code, 128 + n if signal n ended it.

    It leads its own process group, and what it leaves running there is killed. At a terminal it shares our
    group instead: that is what keeps reading keys, Ctrl-C and Ctrl-Z working.
    """
    at_terminal = sys.stdin is not None and sys.stdin.isatty()
    process = spawn(
        argv,
        cwd=Path.cwd(),
        env={**os.environ, **environment},
        stdin=None,
        own_session=False,
        own_group=not at_terminal,
        guarded=not at_terminal,
    )
    with _forwarding(process, at_terminal=at_terminal):
        code = process.wait()
    if not at_terminal:
        end_group(process, signal.SIGTERM, LEFTOVER_SECONDS)
    return code if code >= 0 else 128 - code


@contextlib.contextmanager
def _forwarding(process: subprocess.Popen[bytes], *, at_terminal: bool) -> Iterator[None]:
    """Pass signals on to the command, which decides what they mean; afterwards they are ours again."""

    def forward(number: int, _: FrameType | None) -> None:
        if at_terminal and number in FROM_THE_KEYBOARD:
            return  # the terminal has sent it to the command as well
        with contextlib.suppress(ProcessLookupError):  # it has just ended
            (os.kill if at_terminal else os.killpg)(process.pid, number)

    before = {number: signal.signal(number, forward) for number in FORWARDED}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)

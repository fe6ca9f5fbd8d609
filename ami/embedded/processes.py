"""Several programs as one: started by name, output prefixed or logged, and when one ends they all do.

For development and the demo: web server, Celery, beat, workers. No process outlives us: on Linux the kernel
kills each of them with us, and the guard kills what they have started.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from ami.embedded import guard
from ami.embedded.process import spawn

POLL_SECONDS = 0.05
STOP_SECONDS = 15.0
COLOURS = (36, 33, 35, 32, 34, 31)


@dataclass(frozen=True)
class Ended:
    """A process that ended by itself."""

    name: str
    returncode: int
    """The exit code; minus the signal's number if a signal ended it."""


@dataclass(frozen=True)
class _Member:
    argv: Sequence[str | Path]
    env: Mapping[str, str] | None
    log: Path | None
    cwd: Path
    stop_signal: signal.Signals
    stop_seconds: float
    process: subprocess.Popen[bytes]
    reader: threading.Thread | None


class ProcessGroup:
    """Named processes. `with ProcessGroup() as group:` stops them whatever happens."""

    def __init__(self) -> None:
        self._members: dict[str, _Member] = {}

    def start(
        self,
        name: str,
        argv: Sequence[str | Path],
        *,
        env: Mapping[str, str] | None = None,
        log: Path | None = None,
        cwd: Path | None = None,
        stop_signal: signal.Signals = signal.SIGTERM,
        stop_seconds: float = STOP_SECONDS,
    ) -> int:
        """Start a process and return its id. Its output is appended to `log`, or shown here line by line.

        `stop_seconds`: time it gets after `stop_signal`, before it and everything it started are killed.
        """
        if name in self._members:
            raise ValueError(f"a process named {name} is already there")
        with contextlib.ExitStack() as files:
            output: IO[bytes] | int = files.enter_context(log.open("ab")) if log else subprocess.PIPE
            place = cwd or Path.cwd()
            process = spawn(argv, cwd=place, env=env, output=output, guarded=True)
        reader = self._show(name, process.stdout) if process.stdout else None
        self._members[name] = _Member(argv, env, log, place, stop_signal, stop_seconds, process, reader)
        return process.pid

    def wait(self, timeout: float | None = None) -> Ended | None:
        """Wait for the first process that ends by itself; None if none does within `timeout` seconds."""
        deadline = None if timeout is None else time.monotonic() + timeout
        while True:
            for name, member in self._members.items():
                if (code := member.process.poll()) is not None:
                    return Ended(name, code)
            if deadline is not None and time.monotonic() >= deadline:
                return None
            time.sleep(POLL_SECONDS)

    def restart(self, name: str) -> int:
        """Stop one process and start it again as it was; returns its new id."""
        member = self._members[name]
        self._end([name])
        return self.start(
            name,
            member.argv,
            env=member.env,
            log=member.log,
            cwd=member.cwd,
            stop_signal=member.stop_signal,
            stop_seconds=member.stop_seconds,
        )

    def kill(self, name: str) -> None:
        """Crash one process and everything in its group; `wait` will report it."""
        member = self._members[name]
        _signal_group(member.process.pid, signal.SIGKILL)
        member.process.wait()

    def pid(self, name: str) -> int:
        """The process id."""
        return self._members[name].process.pid

    def stop(self) -> None:
        """Stop all, the last started first, each with its deadline."""
        self._end(list(reversed(self._members)))

    def _end(self, names: Sequence[str]) -> None:
        for name in names:
            member = self._members.pop(name)
            end_group(member.process, member.stop_signal, member.stop_seconds)
            if member.reader:
                member.reader.join()

    def _show(self, name: str, stream: IO[bytes]) -> threading.Thread:
        """Copy a process's output to ours, each line with the process's name in front."""
        prefix = f"{name:<9}| "
        if sys.stdout.isatty():
            prefix = f"\x1b[{COLOURS[len(self._members) % len(COLOURS)]}m{prefix}\x1b[0m"

        def copy() -> None:
            with stream:
                for line in stream:
                    sys.stdout.write(prefix + line.decode(errors="replace"))
                    sys.stdout.flush()

        reader = threading.Thread(target=copy, name=f"output-of-{name}", daemon=True)
        reader.start()
        return reader

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def end_group(process: subprocess.Popen[bytes], number: signal.Signals, seconds: float) -> int:
    """Ask the process and its group to end; after `seconds` kill them. Nothing of the group remains."""
    if process.poll() is None:
        _signal_group(process.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(seconds)
    _signal_group(process.pid, signal.SIGKILL)
    code = process.wait()
    guard.forget(process.pid)
    return code


def _signal_group(group: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):  # macOS says EPERM of a group of zombies
        os.killpg(group, number)

"""The programs of a platform, kept alive as an init system would: who dies is started again.

A scenario may kill a program (it comes back), keep it away for a while, or freeze it.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from ami.demo.programs import ROOT
from ami.embedded.process import spawn
from ami.embedded.processes import end_group

LOOK_SECONDS = 0.1
STOP_SECONDS = 8.0
PYTHON = (sys.executable, "-m")


@dataclass
class _Program:
    argv: Sequence[str]
    environment: Mapping[str, str]
    log: Path
    stop_signal: signal.Signals
    process: subprocess.Popen[bytes] | None = None
    wanted: bool = True
    """Whether it is started again when it is not there."""
    starts: int = field(default=0)


class Programs:
    """Named programs; `with Programs(...) as programs:` stops them whatever happens. Safe for threads."""

    def __init__(self, logs: Path, environment: Mapping[str, str]) -> None:
        """`environment`: the variables that all programs get."""
        self.logs = logs
        self._temporary = logs.parent / "tmp"
        for folder in (logs, self._temporary):
            folder.mkdir(parents=True, exist_ok=True)
        self._environment = {**environment, "TMPDIR": str(self._temporary)}
        self._programs: dict[str, _Program] = {}
        self._lock = threading.RLock()
        self._closing = threading.Event()
        self._keeper = threading.Thread(target=self._keep, name="keeper", daemon=True)

    def __enter__(self) -> Programs:
        self._keeper.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.set()
        self._keeper.join()
        for name in reversed(list(self._programs)):
            self.remove(name)

    def start(
        self,
        name: str,
        *argv: str,
        variables: Mapping[str, str],
        stop_signal: signal.Signals = signal.SIGKILL,
    ) -> None:
        """Start `python -m argv` under a name; secrets go into `variables`, where others cannot see them.

        `stop_signal`: what ends it in the end; SIGKILL for programs that keep nothing in memory that matters.
        """
        with self._lock:
            if name in self._programs:
                raise ValueError(f"a program named {name} is already there")
            environment = {**self._environment, **variables}
            program = _Program([*PYTHON, *argv], environment, self.log(name), stop_signal)
            self._programs[name] = program
            _launch(program)

    def remove(self, name: str, number: signal.Signals | None = None) -> None:
        """End a program for good; `number`: with this signal."""
        with self._lock:
            program = self._programs.pop(name, None)
        if program is not None:
            _end(program, number or program.stop_signal)

    def log(self, name: str) -> Path:
        """Where a program writes."""
        return self.logs / f"{name}.log"

    def starts(self, name: str) -> int:
        """How often a program was started."""
        return self._programs[name].starts

    def kill(self, name: str) -> None:
        """SIGKILL for a program and its children; it is started again at once."""
        with self._lock:
            program = self._programs[name]
            _end(program, signal.SIGKILL)
            if program.wanted:
                _launch(program)

    def kill_children(self, name: str) -> int:
        """SIGKILL for what a program has started, not for itself; returns how many that were."""
        children = self.children(name)
        for child in children:
            with suppress(psutil.NoSuchProcess):
                child.kill()
        return len(children)

    def children(self, name: str) -> list[psutil.Process]:
        """What a program has started."""
        with self._lock:
            process = self._programs[name].process
        try:
            return psutil.Process(process.pid).children(recursive=True) if process else []
        except psutil.NoSuchProcess:
            return []

    @contextmanager
    def away(self, name: str, number: signal.Signals = signal.SIGKILL) -> Iterator[None]:
        """A program is ended, and started again when the block ends."""
        with self._lock:
            program = self._programs[name]
            program.wanted = False
        try:
            _end(program, number)
            yield
        finally:
            with self._lock:
                program.wanted = True
                _launch(program)

    @contextmanager
    def frozen(self, name: str) -> Iterator[None]:
        """A program and its children stand still (SIGSTOP) until the block ends; nobody starts another."""
        members = self._members(name)
        try:
            _send(members, signal.SIGSTOP)
            yield
        finally:
            _send(members, signal.SIGCONT)

    def _members(self, name: str) -> list[psutil.Process]:
        """A program, stopped so that it starts no more of them, and its children."""
        with self._lock:
            process = self._programs[name].process
        if process is None:
            return []
        head = psutil.Process(process.pid)
        head.suspend()
        return [head, *head.children(recursive=True)]

    def _keep(self) -> None:
        while not self._closing.wait(LOOK_SECONDS):
            with self._lock:
                for program in list(self._programs.values()):
                    if program.wanted and (program.process is None or program.process.poll() is not None):
                        _end(program, signal.SIGKILL)  # its children, if it left any
                        _launch(program)


def _launch(program: _Program) -> None:
    if program.process is not None:
        return
    program.log.touch(mode=0o600)
    with program.log.open("ab") as output:
        program.process = spawn(program.argv, cwd=ROOT, env=program.environment, output=output, guarded=True)
    program.starts += 1


def _end(program: _Program, number: signal.Signals) -> None:
    process, program.process = program.process, None
    if process is not None:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGCONT)  # who is frozen hears no SIGTERM
        end_group(process, number, STOP_SECONDS)


def _send(processes: Sequence[psutil.Process], number: signal.Signals) -> None:
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.send_signal(number)

"""Kills what we started when we are gone; the kernel does so only on Linux, and only for direct children.

As a module: `watch` and `forget` process groups. As a script: the guard itself, one small process that reads
`+PID` and `-PID` lines from a pipe. The end of that pipe means that we died, however that happened; then the
groups that are still watched are killed at once.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading

_lock = threading.Lock()
_guard: subprocess.Popen[bytes] | None = None
_watched: set[int] = set()


def watch(group: int) -> None:
    """Have the process group killed if this process dies."""
    global _guard
    with _lock:
        _watched.add(group)
        if _guard is not None and _guard.poll() is None:
            _tell(_guard, f"+{group}\n")
            return
        command = [sys.executable, "-I", "-S", __file__]
        _guard = subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True)  # noqa: S603
        for every in _watched:
            _tell(_guard, f"+{every}\n")


def forget(group: int) -> None:
    """The group has ended; its number may soon belong to somebody else. Safe to call twice."""
    global _guard
    with _lock:
        if _guard is None or group not in _watched:
            return
        _watched.discard(group)
        _tell(_guard, f"-{group}\n")
        if not _watched:
            _guard.communicate()
            _guard = None


def _tell(guard: subprocess.Popen[bytes], line: str) -> None:
    assert guard.stdin is not None  # noqa: S101 - it was started with a pipe
    with contextlib.suppress(BrokenPipeError):  # somebody killed it: the next `watch` starts another
        guard.stdin.write(line.encode())
        guard.stdin.flush()


def run() -> None:
    """Be the guard."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    groups: set[int] = set()
    for line in iter(sys.stdin.buffer.readline, b""):
        group = int(line[1:])
        (groups.add if line[:1] == b"+" else groups.discard)(group)
    for group in groups:
        with contextlib.suppress(ProcessLookupError, PermissionError):  # the group is gone
            os.killpg(group, signal.SIGKILL)


if __name__ == "__main__":
    run()

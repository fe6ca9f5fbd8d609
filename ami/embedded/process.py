"""One server process that cannot outlive us: started, observed, frozen, killed, stopped.

Every process leads its own session, so a Ctrl-C meant for us does not reach it. It dies with us even if we
are killed: on Linux by the kernel, elsewhere by the guard.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import lru_cache
from pathlib import Path
from typing import IO

import psutil

from ami.embedded import guard
from ami.embedded.errors import EmbeddedError

logger = logging.getLogger(__name__)

LAUNCHER = Path(__file__).with_name("launch.py")
KILL_SECONDS = 10.0
LOG_TAIL_BYTES = 4_000


def spawn(
    argv: Sequence[str | Path],
    *,
    cwd: Path,
    env: Mapping[str, str] | None = None,
    stdin: int | None = subprocess.DEVNULL,
    output: IO[bytes] | int | None = None,
    account: str = "same",
    keep_open: Sequence[int] = (),
    own_session: bool = True,
    own_group: bool = True,
    guarded: bool = False,
) -> subprocess.Popen[bytes]:
    """Start a program whose life is tied to ours.

    `output`: where both of its streams go. `account`: see `launch.py`. `keep_open`: descriptors it inherits.
    `own_session`, `own_group`: whether it leads its own; a session of its own has no terminal. `guarded`: its
    whole process group dies with us, not just the program itself.
    """
    parent = "0" if needs_guard() else str(os.getpid())
    launcher = [sys.executable, "-I", "-S", str(LAUNCHER)]
    command = [*launcher, parent, account, str(cwd), *map(str, argv)]

    def start() -> subprocess.Popen[bytes]:
        process = subprocess.Popen(  # noqa: S603 - the callers name the programs
            command,
            env=env,
            stdin=stdin,
            stdout=output,
            stderr=None if output is None else subprocess.STDOUT,
            pass_fds=tuple(keep_open),
            start_new_session=own_session,
            process_group=0 if own_group and not own_session else None,
        )
        if guarded or needs_guard():
            guard.watch(process.pid)
        return process

    future = _spawner().submit(start)
    try:
        return future.result()
    except BaseException:
        _abandon(future)
        raise


def needs_guard() -> bool:
    """Whether the kernel does not tie children to us. `AMI_EMBEDDED_GUARD=1` pretends that, for tests."""
    return sys.platform != "linux" or os.environ.get("AMI_EMBEDDED_GUARD") == "1"


@lru_cache(maxsize=1)
def _spawner() -> ThreadPoolExecutor:
    """The thread that starts everything: Linux kills the children of a *thread* that ends."""
    return ThreadPoolExecutor(max_workers=1, thread_name_prefix="embedded-spawner")


def _abandon(future: Future[subprocess.Popen[bytes]]) -> None:
    """We were interrupted while a process was being started: nobody will ever know it, so end it."""
    if future.exception() is None:
        future.result().kill()
        future.result().wait()
        guard.forget(future.result().pid)


class ServerProcess:
    """A running server and its log file."""

    def __init__(
        self,
        argv: Sequence[str | Path],
        *,
        log: Path,
        cwd: Path,
        env: Mapping[str, str] | None = None,
        account: str = "same",
        stdin: int | None = None,
        keep_open: Sequence[int] = (),
    ) -> None:
        """Start it; its output is appended to `log`."""
        self._log = log
        with log.open("ab") as output:
            self._log_start = output.tell()
            self._popen = spawn(
                argv,
                cwd=cwd,
                env=env,
                stdin=subprocess.DEVNULL if stdin is None else stdin,
                output=output,
                account=account,
                keep_open=keep_open,
            )

    @property
    def pid(self) -> int:
        return self._popen.pid

    @property
    def returncode(self) -> int | None:
        """The exit code, or None while it runs."""
        code = self._popen.poll()
        if code is not None:
            guard.forget(self.pid)
        return code

    @property
    def running(self) -> bool:
        return self.returncode is None

    def said(self) -> str:
        """The end of what it wrote since it was started."""
        with self._log.open("rb") as log:
            end = log.seek(0, os.SEEK_END)
            log.seek(max(self._log_start, end - LOG_TAIL_BYTES))
            return log.read().decode(errors="replace").strip()

    def pause(self) -> None:
        """Freeze it and its children as they are (SIGSTOP)."""
        _send(self._tree(), signal.SIGSTOP)

    def resume(self) -> None:
        """Let a frozen server go on."""
        _send(self._tree(), signal.SIGCONT)

    def kill(self) -> None:
        """End it and its children as a power cut would; returns when all of them are gone."""
        tree = self._tree()
        _send(tree, signal.SIGKILL)
        self._popen.wait()
        deadline = time.monotonic() + KILL_SECONDS
        while any(alive(process) for process in tree):
            if time.monotonic() > deadline:
                raise EmbeddedError(f"Process {self.pid} was killed but some of its children still run.")
            time.sleep(0.002)
        guard.forget(self.pid)

    def ask_to_stop(self, number: signal.Signals) -> None:
        """Send the signal that means an orderly end; a frozen server is woken first."""
        if self.running:
            self.resume()
            self._popen.send_signal(number)

    def wait_until_stopped(self, seconds: float) -> None:
        """Wait for the orderly end; after the deadline the server is killed."""
        try:
            self._popen.wait(seconds)
        except subprocess.TimeoutExpired:
            logger.warning("%s did not stop in %s seconds and is killed", self._popen.args, seconds)
            self.kill()
        guard.forget(self.pid)

    def _tree(self) -> list[psutil.Process]:
        """The process, stopped so that it starts no more of them, and its children."""
        if not self.running:
            return []
        head = psutil.Process(self.pid)
        head.suspend()
        return [head, *head.children(recursive=True)]


def _send(processes: Iterable[psutil.Process], number: signal.Signals) -> None:
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):  # a child that ended by itself
            process.send_signal(number)


def alive(process: psutil.Process) -> bool:
    """Whether it still runs; a zombie that nobody has waited for does not."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False

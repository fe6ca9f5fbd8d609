"""The programs of a running system, as children of this process with a log file each.

Whoever waits for something while they run learns at once when one of them has ended.
"""

from __future__ import annotations

import shutil
import signal
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

import requests

from ami.demo.errors import DemoError
from ami.embedded.processes import ProcessGroup

ROOT = Path(__file__).resolve().parent.parent.parent
"""The checkout: `manage.py` and `config` are here."""

POLL_SECONDS = 0.05
STOP_SECONDS = 8.0
"""For a worker, which finishes and posts its batch first."""
GRACE_SECONDS = 3
"""For the batch that a worker has in hand; what it has not begun it gives back at once."""
AT_ONCE = signal.SIGKILL
"""For what keeps nothing in memory that matters: the next start takes up what was under way."""
LAST_LINES = 15
ALL_QUEUES = "results,jobs,health,default"


class Programs:
    """Named programs; `with Programs(...) as programs:` stops them whatever happens."""

    def __init__(self, logs: Path, environment: Mapping[str, str]) -> None:
        """`environment`: all variables that the programs get. Logs of an earlier run are replaced."""
        self.logs = logs
        self._temporary = logs.parent / "tmp"
        self._environment = {**environment, "TMPDIR": str(self._temporary)}
        self._group = ProcessGroup()

    def start_web(self, port: int, *, processes: int = 1, threads: int = 8) -> None:
        """The web server on this machine; it answers some time later, see `wait_for_web`."""
        self.start(
            "web",
            *("gunicorn", "--config", "config/gunicorn.py", "--bind", f"127.0.0.1:{port}"),
            stop_signal=AT_ONCE,
            WEB_CONCURRENCY=str(processes),
            WEB_THREADS=str(threads),
        )

    def wait_for_web(self, port: int, *, seconds: float = 30.0) -> None:
        """Wait until the web server answers."""

        def answers() -> bool:
            try:
                return requests.get(f"http://127.0.0.1:{port}/livez", timeout=5).ok
            except requests.RequestException:  # it is still loading
                return False

        self.wait_for(answers, what="the web server answers", seconds=seconds)

    def start_celery(self, *, processes: int = 2) -> None:
        """The background work: all queues, and the clock that starts the periodic tasks.

        The tables must exist. One program for all of it is light; servers run it as several.
        """
        self.start(
            "celery",
            *("celery", "--app", "config.celery", "worker", "--beat", "--without-gossip", "--without-mingle"),
            *("--queues", ALL_QUEUES, "--concurrency", str(processes)),
            stop_signal=AT_ONCE,
        )

    def start_worker(self, name: str, *arguments: str, url: str, token: str, label: str) -> None:
        """A pull worker. `label`: how the platform shows it."""
        self.start(
            name,
            *("ami.worker", "run", "--grace", str(GRACE_SECONDS), *arguments),
            AMI_URL=url,
            AMI_TOKEN=token,
            AMI_WORKER_NAME=label,
        )

    def start(
        self,
        name: str,
        module: str,
        *arguments: str,
        stop_signal: signal.Signals = signal.SIGTERM,
        **variables: str,
    ) -> None:
        """`python -m module arguments`; secrets go into `variables`, where other users cannot see them."""
        self.logs.mkdir(parents=True, exist_ok=True)
        # Programs that are killed do not remove their temporary files, so those lie where we remove them.
        self._temporary.mkdir(mode=0o700, exist_ok=True)
        log = self.log(name)
        log.unlink(missing_ok=True)
        log.touch(mode=0o600)
        self._group.start(
            name,
            [sys.executable, "-m", module, *arguments],
            env=self._environment | variables,
            log=log,
            cwd=ROOT,
            stop_signal=stop_signal,
            stop_seconds=STOP_SECONDS,
        )

    def log(self, name: str) -> Path:
        """Where a program writes."""
        return self.logs / f"{name}.log"

    def pid(self, name: str) -> int:
        """The process id of a program; its children do the work of web and Celery."""
        return self._group.pid(name)

    def kill(self, name: str) -> None:
        """Crash a program and its children; do not `watch` afterwards, which would report it."""
        self._group.kill(name)

    def watch(self, seconds: float = 0.0) -> None:
        """Wait so long; raises DemoError with its last words if a program ends meanwhile, or has ended."""
        if ended := self._group.wait(seconds):
            how = f"signal {-ended.returncode}" if ended.returncode < 0 else f"code {ended.returncode}"
            log = self.log(ended.name)
            raise DemoError(f"{ended.name} has ended with {how}. Its log is {log}\n{_end_of(log)}")

    def wait_for(self, condition: Callable[[], bool], *, what: str, seconds: float) -> None:
        """Poll until the condition holds; raises DemoError when that takes too long or a program ends."""
        deadline = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > deadline:
                raise DemoError(f"Waited {seconds:.0f} s, but not that {what}. The logs are in {self.logs}")
            self.watch(POLL_SECONDS)

    def stop(self) -> None:
        """Stop all, the last started first, and remove their temporary files."""
        self._group.stop()
        shutil.rmtree(self._temporary, ignore_errors=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def _end_of(log: Path) -> str:
    lines = log.read_text(errors="replace").splitlines()[-LAST_LINES:]
    return "\n".join(f"  {line}" for line in lines) or "  (it wrote nothing)"

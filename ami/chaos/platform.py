"""A platform to be broken: servers and programs of its own, with short times, in one folder.

Knows nothing of Django: this process may read the settings only once the servers have addresses.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

import requests

from ami.chaos.failpoints import Failpoints
from ami.chaos.pictures import picture_server
from ami.chaos.pipeline import SLUG, WORK_LOG
from ami.chaos.programs import Programs
from ami.chaos.proxy import Proxy
from ami.embedded.stack import ADDRESSES, Stack

SHORT_TIMES = {
    "CLAIM_SECONDS": "1",
    "COLLECT_CHUNK": "100",
    "INBOX_RETRY_SECONDS": "0.5",
    "NATS_TASK_TTR": "2",
    "PROGRESS_INTERVAL_SECONDS": "0.2",
    "PUBLISH_CHUNK": "20",
    "PUSH_ANSWER_SECONDS": "2",
    "PUSH_REQUEST_SECONDS": "4",
    "RETRY_BACKOFF_SECONDS": "0.2",
    "ZOMBIE_STREAMS_MAX_AGE_MINUTES": "0",
}
"""Production waits 30 to 150 times as long; what heals in seconds here takes minutes there."""

HEALTH_SECONDS = 1
"""How often every health check runs here."""

BEHIND_PROXIES = {"NATS": ("NATS_URL",), "Redis": ("REDIS_URL", "CELERY_BROKER_URL")}
"""Servers with the variables that name them."""

CELERY_PROCESSES = 2
START_SECONDS = 90.0
WORKER_SECONDS = 60.0
POLL_SECONDS = 0.02


class NotInTime(Exception):
    """Something that must happen did not happen in its time."""


class Platform:
    """`with Platform(folder) as platform:` starts the servers; `start_programs` needs their tables."""

    def __init__(self, folder: Path) -> None:
        """`folder`: for data and logs."""
        self.folder = folder
        self.work_log = folder / "work.log"
        self.failpoints = Failpoints(folder / "failpoints")
        self.stack = Stack(folder / "servers", environ=_without_addresses())
        self._resources = ExitStack()
        self._changes: dict[str, str] = {}
        self.proxies: dict[str, Proxy] = {}
        """By the server behind them; only inside of `proxied`."""
        self._port = free_port()
        self.url = f"http://127.0.0.1:{self._port}"

    def __enter__(self) -> Self:
        with self._resources:  # undone if any step fails
            self._resources.enter_context(self.stack)
            self.environment = {
                **_without_addresses(),
                **self.stack.environment(),
                **SHORT_TIMES,
                **self.failpoints.environment,
                "AMI_DATA_DIR": str(self.folder / "data"),
                "DJANGO_SETTINGS_MODULE": "config.settings.local",
                "PYTHONUNBUFFERED": "1",
                "WEB_CONCURRENCY": "2",
                "WEB_THREADS": "16",
            }
            self.pictures = self._resources.enter_context(picture_server())
            self.programs = self._resources.enter_context(Programs(self.folder / "logs", self.environment))
            self.work_log.touch()
            self._resources = self._resources.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._resources.close()

    def start_programs(self) -> None:
        """Web, Celery and beat; returns when all of them are at work."""
        self._start_web()
        self.start_celery("celery")
        self.start_beat("beat")
        self.wait_for_web()
        self.wait_for_celery("celery")

    def start_celery(self, name: str, **changes: str) -> None:
        """A program that does background work, all queues."""
        self.programs.start(
            name,
            *("celery", "--app", "config.celery", "worker", "--without-gossip", "--without-mingle"),
            *(
                "--queues",
                "results,jobs,health,default",
                "--concurrency",
                str(CELERY_PROCESSES),
                "--loglevel",
                "INFO",
            ),
            *("--hostname", f"{name}@chaos"),
            variables=self._changes | changes,
        )

    def start_beat(self, name: str) -> None:
        """A clock; there should be one, but mistakes happen."""
        beat = ("celery", "--app", "config.celery", "beat", "--loglevel", "INFO")
        self.programs.start(name, *beat, variables=self._changes)

    def _start_web(self) -> None:
        self.programs.start(
            "web",
            *("gunicorn", "--config", "config/gunicorn.py", "--bind", f"127.0.0.1:{self._port}"),
            variables=self._changes,
        )

    @contextmanager
    def proxied(self) -> Iterator[None]:
        """Web, Celery and beat reach NATS and Redis through `proxies` until the block ends."""
        with ExitStack() as stack:
            changes: dict[str, str] = {}
            for server, variables in BEHIND_PROXIES.items():
                host = urlsplit(self.environment[variables[0]])
                self.proxies[server] = proxy = stack.enter_context(Proxy(host.port or 0))
                for name in variables:
                    address = self.environment[name]
                    changes[name] = address.replace(f":{host.port}", f":{proxy.port}")
            stack.enter_context(self.changed(changes))
            yield
        self.proxies.clear()

    @contextmanager
    def changed(self, settings: Mapping[str, str]) -> Iterator[None]:
        """Web, Celery and beat run with other settings until the block ends."""
        if not settings:
            yield
            return
        try:
            self._restart_with(dict(settings))
            yield
        finally:
            self._restart_with({})

    def _restart_with(self, changes: dict[str, str]) -> None:
        for name in ("beat", "celery", "web"):
            self.programs.remove(name)
        self._changes = changes
        self.start_programs()

    def start_worker(self, name: str, token: str, *, batch_size: int) -> None:
        """A pull worker with the made-up pipeline."""
        self.programs.start(
            name,
            *("ami.worker", "run", "--pipeline", "ami.chaos.pipeline:ChaosBoxes", "--pipelines", SLUG),
            *("--batch-size", str(batch_size), "--wait", "5", "--idle", "0.1", "--grace", "3", "--verbose"),
            stop_signal=signal.SIGTERM,
            variables={
                "AMI_URL": self.url,
                "AMI_TOKEN": token,
                "AMI_WORKER_NAME": name,
                "AMI_WORKER_INSTANCE": name,
                WORK_LOG: str(self.work_log),
            },
        )

    def wait_for_worker(self, name: str) -> None:
        """Wait until a worker asks for work."""
        log = self.programs.log(name)
        wait_until(lambda: "worker starts" in log.read_text(), f"{name} is at work", WORKER_SECONDS)

    def start_service(self, name: str, port: int) -> None:
        """A push service with the made-up pipeline."""
        self.programs.start(
            name,
            *("ami.worker", "serve", "--pipeline", "ami.chaos.pipeline:ChaosBoxes", "--pipelines", SLUG),
            *("--port", str(port), "--service-name", name),
            variables={WORK_LOG: str(self.work_log)},
        )

    def wait_for_service(self, name: str) -> None:
        """Wait until a push service is ready."""
        log = self.programs.log(name)
        wait_until(lambda: "service is ready" in log.read_text(), f"{name} is ready", WORKER_SECONDS)

    def wait_for_web(self) -> None:
        """Wait until the web server answers."""
        wait_until(self._web_answers, "the web server answers", START_SECONDS)

    def wait_for_celery(self, name: str) -> None:
        """Wait until Celery has its processes; what was asked for meanwhile waits in the broker."""
        wait_until(
            lambda: len(self.programs.children(name)) >= CELERY_PROCESSES, f"{name} is ready", START_SECONDS
        )

    def mend(self) -> None:
        """Everything runs and nothing is armed, whatever a scenario left."""
        self.failpoints.disarm()
        for server in self.stack.servers:
            if server.running:
                server.resume()
            else:
                server.start()
        self.wait_for_web()

    def keep_logs(self, folder: Path) -> None:
        """Copy what all programs and servers wrote."""
        shutil.copytree(self.folder / "logs", folder, dirs_exist_ok=True)
        for server in self.stack.servers:
            shutil.copy(server.log, folder)

    def _web_answers(self) -> bool:
        try:
            return requests.get(f"{self.url}/readyz", timeout=5).ok
        except requests.RequestException:
            return False


def wait_until(condition: Callable[[], bool], what: str, seconds: float) -> None:
    """Poll until the condition holds. Raises NotInTime after so many seconds."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise NotInTime(f"not within {seconds:.0f} s: {what}")
        time.sleep(POLL_SECONDS)


def _without_addresses() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name not in ADDRESSES}


def free_port() -> int:
    """A port of this machine where nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port

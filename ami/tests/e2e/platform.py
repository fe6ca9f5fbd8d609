"""A running platform: its own database, NATS and Valkey, and web and Celery as real processes."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import redis
import requests

from ami.demo.client import JobView, Operator
from ami.demo.programs import Programs
from ami.embedded.nats import Nats
from ami.embedded.stack import ADDRESSES, Stack
from ami.embedded.valkey import Valkey
from ami.tests.e2e.accounts import ADMIN_EMAIL, PASSWORD, WORKER_EMAIL
from ami.tests.e2e.database import Database

PATIENCE_SECONDS = 60.0
"""How long a test waits for anything; many times what it takes on a quiet machine of two cores."""
SHORT_TIMES = {
    "CLAIM_SECONDS": "1",
    "INBOX_RETRY_SECONDS": "0.5",
    "RETRY_BACKOFF_SECONDS": "0.2",
    "PROGRESS_INTERVAL_SECONDS": "0.2",
}


class Platform:
    """`with Platform(...) as platform:` starts everything and stops it whatever happens."""

    def __init__(self, folder: Path, database: Database, **settings: str) -> None:
        """`folder`: for data and logs. `settings`: environment variables of all processes."""
        self.folder = folder
        self.database = database
        self.stack = Stack(folder / "servers", servers=[Nats, Valkey], environ=_without_addresses())
        self._settings = SHORT_TIMES | settings
        self._resources = ExitStack()

    def __enter__(self) -> Self:
        with self._resources:  # undone if any step fails
            self._resources.enter_context(self.stack)
            self.environment = {
                **_without_addresses(),
                **self.stack.environment(),
                **self._settings,
                "DATABASE_URL": self.database.url,
                "DJANGO_SETTINGS_MODULE": "config.settings.local",
                "AMI_DATA_DIR": str(self.folder),
                "PYTHONUNBUFFERED": "1",
            }
            self.programs = Programs(self.folder / "logs", self.environment)
            self._resources.enter_context(self.programs)
            port = _free_port()
            self.url = f"http://127.0.0.1:{port}"
            self.programs.start_web(port)
            self.programs.start_celery()
            self.programs.wait_for_web(port, seconds=PATIENCE_SECONDS)
            self.admin = Operator(self.url, ADMIN_EMAIL, PASSWORD)
            self.worker_token = self._make_worker()
            self._resources = self._resources.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._resources.close()

    def ask(self, method: str, path: str, body: dict[str, Any] | None = None, **options: Any) -> Any:
        """The JSON answer to a call of the administrator, which must succeed. `options`: of requests."""
        headers = {"Authorization": f"Token {self.admin.token}"}
        url = f"{self.url}/api/v2{path}"
        response = requests.request(
            method, url, json=body, headers=headers, timeout=PATIENCE_SECONDS, **options
        )
        assert response.ok, f"{method} {path}: {response.status_code} {response.text[:500]}"
        return response.json()

    def wait_until(self, condition: Callable[[], bool], what: str, seconds: float = PATIENCE_SECONDS) -> None:
        """Poll until the condition holds; fails after the deadline, or at once when a process has died."""
        self.programs.wait_for(condition, what=what, seconds=seconds)

    def wait_for_end(self, job_id: int, seconds: float = PATIENCE_SECONDS) -> JobView:
        """Wait until a job is final."""
        self.wait_until(lambda: self.admin.job(job_id).ended, f"job {job_id} ends", seconds)
        return self.admin.job(job_id)

    def ledger(self, job_id: int) -> list[dict[str, Any]]:
        """What the ledger says about each image of a job."""
        rows = self.database.rows(
            "SELECT row_to_json(t) FROM jobs_jobtask t WHERE job_id = %s ORDER BY position", job_id
        )
        return [row[0] for row in rows]

    @contextmanager
    def without_nats(self) -> Iterator[None]:
        """NATS is down until the block ends, however it ends; its streams survive."""
        self.stack.nats.stop()
        try:
            yield
        finally:
            self.stack.nats.start()

    def flush_redis(self) -> None:
        """Lose everything that Redis holds: pending sets, cache, Celery's queue."""
        with redis.Redis.from_url(self.environment["REDIS_URL"]) as client:
            client.flushall()

    @contextmanager
    def workers(self, *names: str, batch_size: int) -> Iterator[None]:
        """Pull workers with the built-in pipeline, at work until the block ends."""
        arguments = ("--batch-size", str(batch_size), "--idle", "0.05")
        account = {"url": self.url, "token": self.worker_token}
        with Programs(self.folder / "logs", self.environment) as programs:
            for name in names:
                programs.start_worker(name, *arguments, **account, label=name)
            programs.wait_for(
                lambda: all("worker starts" in programs.log(name).read_text() for name in names),
                what="all workers are at work",
                seconds=PATIENCE_SECONDS,
            )
            yield

    def _make_worker(self) -> str:
        """An account for workers, and its token."""
        self.ask("POST", "/users/", {"email": WORKER_EMAIL, "password": PASSWORD, "name": "Worker"})
        return Operator(self.url, WORKER_EMAIL, PASSWORD).token


def _without_addresses() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name not in ADDRESSES}


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port

"""Liveness and readiness: does the process answer, and do the servers behind it.

`/livez` asks nobody. `/readyz` asks every server at the same time and waits a second for each. `/metrics` is
answered at the same door: Prometheus comes like a probe, over plain HTTP, to any host name.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import psycopg
import structlog
from django.conf import settings
from django.db import connections
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpRequest, JsonResponse
from django.http.response import HttpResponseBase
from django.views.decorators.cache import never_cache
from redis import Redis

from ami.taskqueue import TaskQueueManager
from config.celery import app
from config.metrics.page import metrics

logger = structlog.get_logger(__name__)

DEADLINE_SECONDS = 1.0
_FRESH_SECONDS = 1.0
"""Answers are shared for this long, so that nobody can make the servers busy by asking."""

_NO_SUCH_JOB = 0


class ProbeMiddleware:
    """Answers probes before anything else: they come often, over plain HTTP, to any host name."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """`/livez`, `/readyz` and `/metrics`; everything else goes on."""
        probe = _PROBES.get(request.path_info)
        return probe(request) if probe else self.get_response(request)


@never_cache
def livez(_request: HttpRequest) -> JsonResponse:
    """200 while this process answers at all."""
    return JsonResponse({"status": "ok"})


@never_cache
def readyz(_request: HttpRequest) -> JsonResponse:
    """200 if every part answers, else 503; says which part does not, and nothing that is secret."""
    checks = _recent.get()
    ready = all(verdict == "ok" for verdict in checks.values())
    return JsonResponse(
        {"status": "ok" if ready else "unavailable", "checks": checks}, status=200 if ready else 503
    )


def check_all() -> dict[str, str]:
    """Ask every part at once; `ok`, or a word about what is wrong, for each."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    pool = ThreadPoolExecutor(max_workers=len(CHECKS), thread_name_prefix="readyz")
    try:
        asked = {name: pool.submit(check) for name, check in CHECKS.items()}
        return {name: _verdict(name, future, deadline) for name, future in asked.items()}
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _verdict(name: str, future: Future[None], deadline: float) -> str:
    try:
        future.result(timeout=max(0.0, deadline - time.monotonic()))
    except TimeoutError:
        return f"no answer within {DEADLINE_SECONDS:g} s"
    except Exception as error:  # noqa: BLE001 - whatever is wrong with a server is this endpoint's answer
        logger.warning("readyz.failed", part=name, error=str(error))
        return f"failed ({type(error).__name__})"
    return "ok"


def _check_database() -> None:
    """A connection of its own: one from the pool could be the one that hangs."""
    known: dict[str, Any] = connections["default"].get_connection_params()
    parameters = {key: known[key] for key in ("dbname", "host", "port", "user", "password") if known.get(key)}
    with psycopg.connect(**parameters, connect_timeout=1, tcp_user_timeout=1000) as connection:
        connection.execute("SELECT 1")


def _check_redis() -> None:
    with Redis.from_url(settings.REDIS_URL, socket_timeout=1, socket_connect_timeout=1) as redis:
        redis.ping()


def _check_queue() -> None:
    TaskQueueManager().message_count(_NO_SUCH_JOB)


def _check_broker() -> None:
    with app.connection_for_write() as connection:
        connection.ensure_connection(max_retries=1, timeout=1)


def _check_migrations() -> None:
    """Asked until the answer is yes: a database does not lose migrations under a running process."""
    if _migrated.is_set():
        return
    connection = connections["default"]  # of this thread, which ends with the check
    try:
        executor = MigrationExecutor(connection)
        if executor.migration_plan(executor.loader.graph.leaf_nodes()):
            raise RuntimeError("The database is behind the code; run `manage.py migrate`.")
    finally:
        connection.close()
    _migrated.set()


class _Recent:
    """The latest answers of `check_all`, made by one request at a time."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._made_at = float("-inf")
        self._checks: dict[str, str] = {}

    def get(self) -> dict[str, str]:
        with self._lock:
            if time.monotonic() - self._made_at > _FRESH_SECONDS:
                self._checks = check_all()
                self._made_at = time.monotonic()
            return self._checks


CHECKS: dict[str, Callable[[], None]] = {
    "database": _check_database,
    "migrations": _check_migrations,
    "redis": _check_redis,
    "queue": _check_queue,
    "broker": _check_broker,
}
_PROBES: dict[str, Callable[[HttpRequest], HttpResponseBase]] = {
    "/livez": livez,
    "/readyz": readyz,
    "/metrics": metrics,
}
_migrated = threading.Event()
_recent = _Recent()

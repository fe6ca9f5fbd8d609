"""What Celery's processes count, and how it gets out: through METRICS_DIR, or at a port of their own."""

from __future__ import annotations

import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import structlog
from celery import Task
from celery.signals import task_postrun, task_prerun, worker_init, worker_ready
from django.conf import settings

from ami.base.metrics.counted import TASK_SECONDS, TASKS
from ami.base.metrics.rendering import CONTENT_TYPE, render
from ami.base.metrics.sharing import own_folder
from config.metrics.access import may_read
from config.metrics.start import share_counters

logger = structlog.get_logger(__name__)
_began = threading.local()


@worker_init.connect
def share(**_: Any) -> None:
    """Before the pool forks: its processes count into files of their own."""
    if settings.METRICS_PORT and not settings.METRICS_DIR:
        settings.METRICS_DIR = own_folder()
    share_counters("celery")


@worker_ready.connect
def show(**_: Any) -> None:
    """Answer at METRICS_PORT, where one is set."""
    if settings.METRICS_PORT:
        serve(settings.METRICS_PORT)


@task_prerun.connect
def note_begin(**_: Any) -> None:
    """A task begins in this process."""
    _began.at = time.perf_counter()


@task_postrun.connect
def count(task: Task[Any, Any], state: str | None = None, **_: Any) -> None:
    """A task ended: well, or not."""
    began = getattr(_began, "at", None)
    TASKS.inc(task.name, state or "UNKNOWN")
    if began is not None:
        TASK_SECONDS.observe(time.perf_counter() - began, task.name)


def serve(port: int) -> ThreadingHTTPServer:
    """Show the counters of this worker at a port, from a thread; 0 takes any."""
    server = ThreadingHTTPServer(("", port), _Page)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, name="metrics", daemon=True).start()
    logger.info("metrics.served", port=server.server_port)
    return server


class _Page(BaseHTTPRequestHandler):
    timeout = 5
    server_version, sys_version = "AMI", ""

    def do_GET(self) -> None:
        """/metrics, for who may read it: the counters only, the web server has the state of the system."""
        if self.path != "/metrics":
            self.send_error(404)
        elif not may_read(self.headers.get("Authorization", ""), self.client_address[0], forwarded=False):
            self.send_error(401)
        else:
            body = render([], settings.METRICS_DIR, role="celery")
            self.send_response(200)
            self.send_header("Content-Type", CONTENT_TYPE)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Not logged: it comes every few seconds."""

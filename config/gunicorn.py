"""How gunicorn serves AMI: threads, because worker endpoints mostly wait: for Postgres, NATS, or tasks.

A thread that waits costs some 30 kB and no time (docs/adr/0009), so there are many; what they share is few
database connections.
"""

from __future__ import annotations

import gc
import os
from typing import Any

from gunicorn.glogging import Logger
from prometheus_client.multiprocess import mark_process_dead

from ami.base.logs import mask_record
from ami.base.metrics.sharing import folder_of, own_folder, start_over

wsgi_app = "config.wsgi:application"
worker_class = "gthread"
workers = int(os.environ.get("WEB_CONCURRENCY", "2"))
threads = int(os.environ.get("WEB_THREADS", "256"))
# Read by the settings when a worker process loads the application. A quarter of the threads never waits.
os.environ.setdefault("DB_POOL_MAX", "12")
os.environ.setdefault("LONG_POLL_MAX_WAITERS", str(threads * 3 // 4))
timeout = 60
graceful_timeout = 30
keepalive = 30
# Without this, every instance of one user would share one control socket in the home folder.
control_socket_disable = True


class logger_class(Logger):  # noqa: N801 - gunicorn's name for it
    """Gunicorn's own lines, among them requests with the signatures of links, through our mask."""

    def setup(self, cfg: Any) -> None:
        """Put the mask in front of whatever handlers were asked for."""
        super().setup(cfg)
        self.error_log.addFilter(mask_record)
        self.access_log.addFilter(mask_record)


def post_fork(_server: Any, _worker: Any) -> None:
    """Bodies of a megabyte are made of many small objects: collecting garbage rarely saves a few per cent."""
    gc.set_threshold(200_000, 20, 100)


def on_starting(_server: Any) -> None:
    """Counters begin at zero, all together, in a folder through which worker processes share them."""
    if not os.environ.get("METRICS_DIR"):
        os.environ["METRICS_DIR"] = own_folder()
    start_over(os.environ["METRICS_DIR"], "web")


def child_exit(_server: Any, worker: Any) -> None:
    """What a worker process counted stays in the sums; what it was doing just then does not."""
    folder = folder_of(os.environ["METRICS_DIR"], "web")
    mark_process_dead(worker.pid, path=str(folder))  # type: ignore[no-untyped-call]

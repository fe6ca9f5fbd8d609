"""Web, Celery and its beat of the platform under measurement, as processes of this one."""

from __future__ import annotations

import socket
import sys
import time
from pathlib import Path

import requests

from ami.embedded.processes import ProcessGroup

START_SECONDS = 30


def start_programs(group: ProcessGroup, folder: Path, celery_processes: int, *, beat: bool = False) -> str:
    """Start `web` and `celery` and wait until the web answers; returns its address.

    `beat`: start the clock of the periodic checks too.
    Addresses of servers come from the environment, so does WEB_CONCURRENCY.
    """
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    python = sys.executable
    group.start(
        "web",
        [python, "-m", "gunicorn", "-c", "config/gunicorn.py", "-b", f"127.0.0.1:{port}"],
        log=folder / "web.log",
    )
    group.start(
        "celery",
        [
            *(python, "-m", "celery", "-A", "config.celery", "worker", "-l", "WARNING"),
            *("-Q", "results,jobs,health,default", "-c", str(celery_processes)),
        ],
        log=folder / "celery.log",
    )
    if beat:
        group.start("beat", [python, "-m", "celery", "-A", "config.celery", "beat"], log=folder / "beat.log")
    url = f"http://127.0.0.1:{port}"
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and group.wait(0.05) is None:
        try:
            if requests.get(f"{url}/api/v2/projects/", timeout=5).ok:
                return url
        except requests.RequestException:
            continue
    raise SystemExit("The platform did not start:\n" + (folder / "web.log").read_text()[-3_000:])

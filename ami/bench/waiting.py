"""`python -m ami.bench.waiting`: what many idle workers in long poll cost, and how soon they get a new job.

So many threads, each a worker of its own, wait for tasks with calls of 30 s; then a job of one image is begun
again and again, and the time until a worker holds it is measured.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import requests

from ami.bench.cpu import cpu_seconds
from ami.bench.programs import start_programs
from ami.embedded.processes import ProcessGroup
from ami.embedded.stack import Stack

WAIT_SECONDS = 30


class Waiters:
    """Idle workers, each in a thread with a connection of its own."""

    def __init__(self, url: str, token: str, count: int) -> None:
        """They begin at once."""
        self.calls = 0
        self.errors: list[str] = []
        self.taken: list[float] = []
        self.got = threading.Event()
        self._stop = threading.Event()
        self._url, self._token = url, token
        self._lock = threading.Lock()
        for number in range(count):
            threading.Thread(target=self._work, args=[number], daemon=True).start()

    def _work(self, number: int) -> None:
        body = {"batch_size": 8, "wait": WAIT_SECONDS, "client_info": {"instance": f"idle-{number}"}}
        with requests.Session() as session:
            session.headers["Authorization"] = f"Token {self._token}"
            while not self._stop.is_set():
                try:
                    self._ask(session, body)
                except requests.RequestException as error:
                    if not self._stop.is_set():  # else the server was stopped while we waited
                        self.errors.append(repr(error))
                    return

    def _ask(self, session: requests.Session, body: dict[str, Any]) -> None:
        answer = session.post(f"{self._url}/api/v2/tasks/reserve/", json=body, timeout=60)
        moment = time.perf_counter()
        answer.raise_for_status()
        said = answer.json()
        with self._lock:
            self.calls += 1
            if said["reason"]:
                self.errors.append(said["reason"])
        if said["tasks"]:
            self.taken.append(moment)
            self.got.set()
        self._stop.wait(said["retry_after"] or 0)

    def stop(self) -> None:
        """Begin no further call."""
        self._stop.set()


def main(argv: Sequence[str] | None = None) -> int:
    """Measure and print; 0 when every call was answered well and every job was picked up."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workers", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=60.0, help="how long nothing happens")
    parser.add_argument("--jobs", type=int, default=10, help="jobs whose pick-up is measured")
    arguments = parser.parse_args(argv)
    with (
        tempfile.TemporaryDirectory(prefix="ami-bench-") as folder,
        Stack(Path(folder), durable=True) as stack,
        ProcessGroup() as group,
    ):
        os.environ.update(stack.environment())
        os.environ.update(
            DJANGO_SETTINGS_MODULE="config.settings.local", LOG_LEVEL="WARNING", AMI_DATA_DIR=folder
        )
        from ami.bench.platform import BenchPlatform  # noqa: PLC0415 - settings are read when it is imported

        platform = BenchPlatform.prepare(classes=2)
        url = start_programs(group, Path(folder), 1)
        waiters = Waiters(url, platform.token, arguments.workers)
        time.sleep(3)  # until all of them wait
        calls, spent, began = waiters.calls, cpu_seconds([group.pid("web")]), time.perf_counter()
        time.sleep(arguments.seconds)
        took = time.perf_counter() - began
        cpu = cpu_seconds([group.pid("web")]) - spent
        print(
            f"{arguments.workers} workers waited {took:.0f} s: {(waiters.calls - calls) / took:.1f} calls/s, "
            f"web {100 * cpu / took:.1f} % of one core",
            flush=True,
        )
        latencies = [_pick_up(platform, waiters) for _ in range(arguments.jobs)]
        waiters.stop()
        print(
            f"pick-up of a new job, from its start to a worker that holds it: median "
            f"{1_000 * statistics.median(latencies):.0f} ms, longest {1_000 * max(latencies):.0f} ms; "
            f"{len(waiters.errors)} bad answers"
        )
        return 1 if waiters.errors else 0


def _pick_up(platform: object, waiters: Waiters) -> float:
    waiters.got.clear()
    began = time.perf_counter()
    platform.start_job(1)  # type: ignore[attr-defined]  # its module cannot be imported before the settings are
    if not waiters.got.wait(30):
        raise SystemExit("Nobody took a job within 30 s.")
    return waiters.taken[-1] - began


if __name__ == "__main__":
    sys.exit(main())

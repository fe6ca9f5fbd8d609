"""The load: K workers that reserve, make results up, and post them, over HTTP like any worker."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import orjson
import requests

from ami.bench.made_up import ResultMaker

IDLE_PAUSE = 0.02
TIMEOUT = 60


@dataclass
class Observed:
    """What the workers saw. Times in seconds."""

    tasks_times: list[float] = field(default_factory=list)
    result_times: list[float] = field(default_factory=list)
    posted: int = 0
    answers: dict[str, int] = field(default_factory=dict)
    http_errors: int = 0
    last_post_at: float = 0.0
    lock: threading.Lock = field(default_factory=threading.Lock)


def drive(
    *,
    url: str,
    token: str,
    job_id: int,
    workers: int,
    batch: int,
    maker: ResultMaker,
    ended: Callable[[], bool],
) -> Observed:
    """Work a job off with `workers` threads until `ended()`; each asks for `batch` tasks at a time."""
    observed = Observed()
    stop = threading.Event()
    with ThreadPoolExecutor(workers) as pool:
        running = [
            pool.submit(_work, url, token, job_id, f"bench-{number}", batch, maker, observed, stop)
            for number in range(workers)
        ]
        try:
            while not ended() and not any(future.done() for future in running):
                time.sleep(IDLE_PAUSE)
        finally:
            stop.set()
        for future in running:
            future.result()
    return observed


def _work(
    url: str,
    token: str,
    job_id: int,
    name: str,
    batch: int,
    maker: ResultMaker,
    observed: Observed,
    stop: threading.Event,
) -> None:
    session = requests.Session()
    session.headers.update(
        {
            "Authorization": f"Token {token}",
            "Content-Type": "application/json",
            "X-Processing-Service-Name": name,
        }
    )
    base = f"{url}/api/v2/jobs/{job_id}"
    wanted = orjson.dumps({"batch_size": batch})
    while not stop.is_set():
        began = time.perf_counter()
        answer = session.post(f"{base}/tasks/", data=wanted, timeout=TIMEOUT)
        took = time.perf_counter() - began
        tasks = orjson.loads(answer.content).get("tasks", []) if answer.ok else []
        with observed.lock:
            observed.http_errors += not answer.ok
            if tasks:
                observed.tasks_times.append(took)
        if not tasks:
            stop.wait(IDLE_PAUSE)
            continue
        body = orjson.dumps({"results": [maker.item(task) for task in tasks]})
        began = time.perf_counter()
        answer = session.post(f"{base}/result/", data=body, timeout=TIMEOUT)
        took = time.perf_counter() - began
        with observed.lock:
            observed.result_times.append(took)
            observed.last_post_at = time.perf_counter()
            observed.http_errors += not answer.ok
            if answer.ok:
                for item in orjson.loads(answer.content)["tasks"]:
                    observed.answers[item["status"]] = observed.answers.get(item["status"], 0) + 1

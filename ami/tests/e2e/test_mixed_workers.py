"""Old workers, which know nothing of keys or long polls, and new ones share jobs to their ends."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import requests

from ami.ml.schemas import PipelineTaskResult
from ami.tests.e2e.made_up import TwoBoxes, results_for
from ami.tests.e2e.platform import PATIENCE_SECONDS, Platform
from ami.tests.e2e.project import PROCESSED, Project
from ami.worker.client import AmiClient

IMAGES = 300
BATCH = 24
SUBPROCESSES = 2

_INSERT_CAPTURES = """
INSERT INTO main_sourceimage (project_id, deployment_id, path, public_base_url, size, checksum, test_image,
    created_at, updated_at)
SELECT %s, %s, 'night/' || %s || '-' || n || '.jpg', 'https://images.example', 1, '', false, now(), now()
FROM generate_series(1, %s) AS n RETURNING id
"""


def capture_set(project: Project, number: int) -> int:
    """A set of new captures that nobody needs to download."""
    rows = project.platform.database.rows(_INSERT_CAPTURES, project.id, project.deployment_id, number, IMAGES)
    body = {
        "name": f"Night {number}",
        "project": project.id,
        "method": "manual",
        "kwargs": {"image_ids": [row[0] for row in rows]},
        "description": "",
    }
    return int(project.platform.ask("POST", "/captures/collections/", body)["id"])


def worker_key(project: Project, name: str) -> str:
    """A key of a new service of the project."""
    ask = project.platform.ask
    service = ask("POST", f"/ml/processing_services/?project_id={project.id}", {"name": name})["instance"][
        "id"
    ]
    return str(ask("POST", f"/ml/processing_services/{service}/keys/", {})["secret"])


class OldWorker:
    """Polls without a slash, says no name, drains each job with several fetchers, repeats no POST."""

    def __init__(self, platform: Platform) -> None:
        self.base = f"{platform.url}/api/v2"
        self.headers = {"Authorization": f"Token {platform.worker_token}"}

    def work(self, over: Callable[[], bool]) -> None:
        """Until it is over."""
        query = {"pipeline__slug__in": TwoBoxes.slug, "ids_only": "1", "incomplete_only": "1"}
        while not over():
            polled = requests.get(f"{self.base}/jobs", query, headers=self.headers, timeout=30)
            for job in polled.json()["results"]:
                with ThreadPoolExecutor(SUBPROCESSES) as pool:
                    list(pool.map(lambda _, job=job: self._drain(job["id"]), range(SUBPROCESSES)))

    def _drain(self, job_id: int) -> None:
        while tasks := self._post(f"/jobs/{job_id}/tasks/", {"batch_size": BATCH})["tasks"]:
            self._post(f"/jobs/{job_id}/result/", {"results": results_for(tasks)})

    def _post(self, path: str, body: dict[str, Any]) -> Any:
        answer = requests.post(self.base + path, json=body, headers=self.headers, timeout=60)
        answer.raise_for_status()
        return answer.json()


def work_anew(client: AmiClient, over: Callable[[], bool]) -> None:
    """A new worker: waits for tasks of any job, posts results job by job."""
    while not over():
        tasks = client.reserve(BATCH, wait=0.5, pipelines=[TwoBoxes.slug]).tasks
        by_job: dict[int, list[dict[str, Any]]] = {}
        for task in tasks:
            by_job.setdefault(task.job_id, []).append(task.model_dump())
        for job_id, held in by_job.items():
            results = [PipelineTaskResult.model_validate(item) for item in results_for(held)]
            client.post_results(job_id, results)


def test_old_and_new_workers_share_three_jobs_without_a_duplicate(platform: Platform) -> None:
    project = Project.create(platform, TwoBoxes())
    sets = [capture_set(project, number) for number in range(3)]
    keys = {name: worker_key(project, name) for name in ("Rack A", "Rack B")}
    jobs = [
        platform.admin.start_job(
            name=f"Night {key}", project_id=project.id, pipeline_id=project.pipeline_id, capture_set_id=key
        )
        for key in sets
    ]
    ended = threading.Event()
    clients = [AmiClient(platform.url, secret, service_name=name) for name, secret in keys.items()]
    work: list[Callable[[], None]] = [
        *(partial(OldWorker(platform).work, ended.is_set) for _ in range(2)),
        *(partial(work_anew, client, ended.is_set) for client in clients),
    ]
    with ThreadPoolExecutor(len(work)) as pool:
        running = [pool.submit(one) for one in work]
        try:
            views = [platform.wait_for_end(job, PATIENCE_SECONDS) for job in jobs]
        finally:
            ended.set()
    for future in running:
        future.result()
    for view in views:
        project.assert_exact(view, IMAGES)
    _assert_attribution(project, jobs, keys)


def _assert_attribution(project: Project, jobs: Sequence[int], keys: dict[str, str]) -> None:
    """Every row names who did it, at the first attempt; contributions add up to what the ledger says."""
    rows = [row for job in jobs for row in project.platform.ledger(job)]
    assert {(row["status"], row["attempt"]) for row in rows} == {(PROCESSED, 1)}
    done = Counter(row["worker"].partition(" / ")[0] for row in rows)
    assert sum(done.values()) == 3 * IMAGES
    assert {name for name in done if not name.startswith("Worker (token ")} <= set(keys)
    assert all(row["instance_id"] and row["processing_ms"] is not None for row in rows)
    shown = project.platform.ask("GET", f"/ml/workers/?project_id={project.id}&limit=50")["results"]
    contributed: Counter[str] = Counter()
    for worker in shown:
        contributed[worker["name"].partition(" / ")[0]] += worker["processed"]
    assert +contributed == done

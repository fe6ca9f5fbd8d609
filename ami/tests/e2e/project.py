"""A project on a running platform: captures, jobs, and what a worker says to the server, call by call."""

from __future__ import annotations

from dataclasses import dataclass
from io import BytesIO
from typing import Any

import requests
from PIL import Image

from ami.demo.client import JobView
from ami.tests.e2e.accounts import WORKER_EMAIL
from ami.tests.e2e.made_up import BOXES, results_for
from ami.tests.e2e.platform import PATIENCE_SECONDS, Platform
from ami.worker.client import AmiClient
from ami.worker.pipeline import Pipeline


@dataclass(frozen=True)
class Project:
    """One project; its jobs run over all of its captures."""

    platform: Platform
    id: int
    deployment_id: int
    capture_set_id: int
    pipeline_id: int

    @classmethod
    def create(cls, platform: Platform, pipeline: Pipeline) -> Project:
        """A new project with one pipeline, which the worker's account registers."""
        number = platform.ask("POST", "/projects/", {"name": "Night"})["id"]
        member = {"email": WORKER_EMAIL, "role_id": "Worker"}
        platform.ask("POST", f"/projects/{number}/members/", member)
        client = AmiClient(platform.url, platform.worker_token, service_name="Worker")
        client.register(number, [pipeline.announcement()])
        client.close()
        (station,) = platform.ask("GET", f"/deployments/?project_id={number}")["results"]
        (everything,) = platform.ask("GET", f"/captures/collections/?project_id={number}")["results"]
        pipeline_id = platform.admin.pipeline_id(number, pipeline.slug)
        return cls(platform, number, station["id"], everything["id"], pipeline_id)

    def upload(self, picture: Image.Image, name: str) -> int:
        """One capture; returns its number."""
        file = BytesIO()
        picture.save(file, format="JPEG", quality=90)
        made = self.platform.ask(
            "POST",
            f"/captures/upload/?project_id={self.id}&process_now=false",
            data={"deployment": self.deployment_id},
            files={"image": (name, file.getvalue(), "image/jpeg")},
        )
        return int(made["source_image"]["id"])

    def upload_blank(self, count: int) -> None:
        """Captures with nothing on them, for tests that make results up."""
        for number in range(count):
            self.upload(Image.new("RGB", (32, 24), (200, 200, number)), f"blank-{number}.jpg")

    def start_job(self) -> int:
        """Submit a job over all captures; returns its number."""
        return self.platform.admin.start_job(
            name="Job", project_id=self.id, pipeline_id=self.pipeline_id, capture_set_id=self.capture_set_id
        )

    def reserve(self, job_id: int, count: int) -> list[dict[str, Any]]:
        """Tasks for a worker, as many as there are now; fails if the server does not answer 200."""
        return _tasks(self.try_reserve(job_id, count))

    def hold(self, job_id: int, count: int) -> list[dict[str, Any]]:
        """Exactly so many tasks, waiting until there are as many, and until the queue can be reached."""
        held: list[dict[str, Any]] = []

        def complete() -> bool:
            response = self.try_reserve(job_id, count - len(held))
            if response.status_code != 503:
                held.extend(_tasks(response))
            return len(held) == count

        self.platform.wait_until(complete, f"{count} tasks of job {job_id} can be reserved")
        return held

    def try_reserve(self, job_id: int, count: int) -> requests.Response:
        """The same, whatever the answer is."""
        return self._as_worker(f"/jobs/{job_id}/tasks/", {"batch_size": count})

    def post(self, job_id: int, tasks: list[dict[str, Any]]) -> list[str]:
        """Made-up results for these tasks; returns what became of each."""
        response = self._as_worker(f"/jobs/{job_id}/result/", {"results": results_for(tasks)})
        assert response.status_code == 200, response.text
        return [item["status"] for item in response.json()["tasks"]]

    def work_off(self, job_id: int, batch: int = 4) -> JobView:
        """Do what a worker does until the job is final; a call that finds no server is made again."""

        def step() -> bool:
            try:
                tasks = self.reserve(job_id, batch)
                if tasks:
                    self.post(job_id, tasks)
            except requests.ConnectionError:
                return False
            return self.platform.admin.job(job_id).ended

        self.platform.wait_until(step, f"job {job_id} ends")
        return self.platform.admin.job(job_id)

    def assert_exact(self, job: JobView, images: int) -> None:
        """Every image was processed once, and job, ledger and predictions agree on what was found."""
        boxes = images * BOXES
        assert job.status == "SUCCESS"
        assert {stage.key: stage.figures for stage in job.stages} == {
            "collect": {"total_images": images},
            "process": {"processed": images, "remaining": 0, "failed": 0},
            "results": {"captures": images, "detections": boxes, "classifications": boxes},
        }
        assert [row["status"] for row in self.platform.ledger(job.id)] == [PROCESSED] * images
        found = self.platform.database.rows(
            "SELECT count(*), count(DISTINCT (source_image_id, x1)) FROM ml_detection WHERE job_id = %s",
            job.id,
        )
        assert found == [(boxes, boxes)]

    def _as_worker(self, path: str, body: dict[str, Any]) -> requests.Response:
        headers = {"Authorization": f"Token {self.platform.worker_token}"}
        url = f"{self.platform.url}/api/v2{path}"
        return requests.post(url, json=body, headers=headers, timeout=PATIENCE_SECONDS)


def _tasks(response: requests.Response) -> list[dict[str, Any]]:
    assert response.status_code == 200, response.text
    tasks: list[dict[str, Any]] = response.json()["tasks"]
    return tasks


PROCESSED, FAILED, CANCELLED = 2, 3, 4
"""`ami.jobs.states.TaskState` as the database has it; a test of the wire and the tables spells them out."""

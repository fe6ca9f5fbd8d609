"""A running server with a project in it, and the people who use it over HTTP."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count as count_from
from pathlib import Path
from typing import Any

import requests
from django.conf import settings
from django.db import connections

from ami.jobs import transitions
from ami.jobs.api.presence import forget_notes
from ami.jobs.lifecycle import catalogue, openings
from ami.jobs.models import Job
from ami.jobs.tests.world import OnDemandDispatcher
from ami.main.models import ProjectMembership, SourceImage, SourceImageCollection
from ami.main.tests.factories import image_bytes, make_deployment, make_project
from ami.ml.results import forget_taxa
from ami.ml.workers import forget_known
from ami.taskqueue import AsyncJobStateManager, TaskQueueManager
from ami.taskqueue.tests.waiting import wait_for
from ami.tests.contract.field_models import SLUG, registration, see_by_turns
from ami.tests.contract.worker import Predict, PullWorker
from ami.users.models import User
from ami.users.roles import Role
from ami.users.tests.factories import make_user, token_of

SERVICE = "AMI Data Companion (gpu-01)"
_nights = count_from(1)


class Platform:
    """A server that answers over HTTP, with a project, an operator and a worker's account."""

    def __init__(self, base: str, background: OnDemandDispatcher) -> None:
        """`base` ends in `/api/v2`."""
        for forget in (catalogue.forget, forget_taxa, forget_notes, forget_known, openings.forget_drained):
            forget()
        self.base = base
        self.background = background
        self.project = make_project(name="Panama")
        self.deployment = make_deployment(self.project)
        self._operator = token_of(self.member(Role.ML_DATA_MANAGER))
        self.worker_token = token_of(self.member(Role.WORKER))

    def member(self, role: Role) -> User:
        """A new account with a role in the project."""
        user = make_user()
        ProjectMembership.objects.create(project=self.project, user=user, role=role)
        return user

    def worker(self, predict: Predict = see_by_turns) -> PullWorker:
        """A worker with the token of the worker's account."""
        return PullWorker(self.base, self.worker_token, predict)

    def registered_worker(self, predict: Predict = see_by_turns) -> PullWorker:
        """A worker that has announced the pipeline that most tests run."""
        worker = self.worker(predict)
        worker.register(self.project.pk, registration(SERVICE, [SLUG]))
        return worker

    def captures(self, count: int, broken: int = 0) -> list[SourceImage]:
        """Captures in our own storage; the last `broken` of them are no images."""
        night = f"night-{next(_nights)}"
        folder = Path(settings.MEDIA_ROOT) / night
        folder.mkdir(parents=True)
        for number in range(count):
            content = image_bytes(color=number) if number < count - broken else b"no image"
            (folder / f"{number}.jpg").write_bytes(content)
        return SourceImage.objects.bulk_create(
            SourceImage(project=self.project, deployment=self.deployment, path=f"{night}/{number}.jpg")
            for number in range(count)
        )

    def start_job(self, images: int = 3, broken: int = 0, slug: str = SLUG) -> int:
        """Create and start a job as an operator does; its images stand in the queue when this returns."""
        capture_set = SourceImageCollection.objects.create(
            project=self.project, name="Night", method="manual"
        )
        capture_set.images.set(self.captures(images, broken))
        listed = self.ask("GET", f"/ml/pipelines/?project_id={self.project.pk}&limit=100").json()["results"]
        body = {
            "name": "Night 1",
            "delay": 0,
            "project_id": self.project.pk,
            "pipeline_id": next(pipeline["id"] for pipeline in listed if pipeline["slug"] == slug),
            "source_image_collection_id": capture_set.pk,
        }
        job_id = int(self.ask("POST", "/jobs/?start_now=true", json=body).json()["id"])
        self.background.run()
        assert self.job(job_id)["status"] == "STARTED"
        return job_id

    def job(self, job_id: int) -> dict[str, Any]:
        """A job as the operator sees it."""
        shown: dict[str, Any] = self.ask("GET", f"/jobs/{job_id}/").json()
        return shown

    def figures(self, job_id: int) -> dict[str, Any]:
        """All figures of a job by their keys."""
        stages = self.job(job_id)["progress"]["stages"]
        return {param["key"]: param["value"] for stage in stages for param in stage["params"]}

    def ask(self, method: str, path: str, **options: Any) -> requests.Response:
        """A request of the operator."""
        headers = {"Authorization": f"Token {self._operator}"}
        with requests.Session() as session:
            answer = session.request(method, self.base + path, headers=headers, timeout=30, **options)
        answer.raise_for_status()
        return answer

    @contextmanager
    def background_at_work(self) -> Iterator[None]:
        """Do background work in a thread of its own as soon as it is asked for."""
        stop = threading.Event()
        thread = threading.Thread(target=self._work_in_background, args=[stop])
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join(20)

    def _work_in_background(self, stop: threading.Event) -> None:
        try:
            while not stop.wait(0.005):
                self.background.run()
        finally:
            connections.close_all()

    def wait_for_end(self, job_id: int, worker: PullWorker, slug: str = SLUG) -> dict[str, Any]:
        """Let a worker go on until a job has ended."""

        def ended() -> bool:
            worker.work([slug])
            return self.job(job_id)["finished_at"] is not None

        wait_for(ended, seconds=20)
        return self.job(job_id)

    def close(self) -> None:
        """Remove streams and keys of all jobs."""
        for job_id in Job.objects.values_list("pk", flat=True):
            transitions.cancel(job_id)
            TaskQueueManager().delete(job_id)
            AsyncJobStateManager(job_id).delete()

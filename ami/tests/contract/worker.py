"""A pull worker as it is found in the field: the same requests, the same bodies, the same reactions.

Written from observations of the wire. It has no heartbeat, sends no name except at registration, polls
without a trailing slash, and never repeats a POST.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import requests
from PIL import Image

from ami.tests.contract.answers import JobsPage, ListedJob, Posted, ProjectsPage, Registered, Task, Tasks

BATCH_SIZE = 24

Predict = Callable[[Task, Image.Image], list[dict[str, Any]]]
"""The detections of an image, each as it stands in a result body."""


class PullWorker:
    """One process of a worker."""

    def __init__(self, base: str, token: str, predict: Predict) -> None:
        """`base` ends in `/api/v2`."""
        self.base = base
        self.token = token
        self.predict = predict
        self.batches: list[int] = []
        """Sizes of the batches of tasks that it was given."""

    def projects(self) -> ProjectsPage:
        """Which projects there are: asked when nobody told it where to register."""
        return ProjectsPage.model_validate(self.get("/projects/").json())

    def register(self, project_id: int, body: dict[str, Any]) -> Registered:
        """Announce pipelines."""
        answer = self.post(f"/projects/{project_id}/pipelines/", body)
        return Registered.model_validate(answer.json())

    def poll(self, slugs: Sequence[str]) -> list[ListedJob]:
        """Jobs with work; a redirect to the address with the slash is followed."""
        query = {
            "pipeline__slug__in": ",".join(slugs),
            "ids_only": "1",
            "incomplete_only": "1",
            "dispatch_mode": "async_api",
        }
        return JobsPage.model_validate(self.get("/jobs", params=query).json()).results

    def fetch(self, job_id: int, batch_size: int = BATCH_SIZE) -> list[Task]:
        """Reserve tasks."""
        answer = self.post(f"/jobs/{job_id}/tasks/", {"batch_size": batch_size})
        return Tasks.model_validate(answer.json()).tasks

    def process(self, slug: str, tasks: Sequence[Task]) -> list[dict[str, Any]]:
        """The items of a post: successes first, then the images that could not be loaded."""
        successes, failures = [], []
        for task in tasks:
            image = load(task.image_url)
            if image is None:
                result: dict[str, Any] = {"error": "failed to load image", "image_id": task.image_id}
                failures.append({"reply_subject": task.reply_subject, "result": result})
            else:
                successes.append(success(slug, task, self.predict(task, image)))
        return successes + failures

    def send(self, job_id: int, items: Sequence[dict[str, Any]]) -> Posted:
        """Post results."""
        return Posted.model_validate(self.post(f"/jobs/{job_id}/result/", {"results": items}).json())

    def work(self, slugs: Sequence[str], batch_size: int = BATCH_SIZE) -> int:
        """Go once over the jobs of a poll; returns how many images it did."""
        done = 0
        for job in self.poll(slugs):
            while tasks := self.fetch(job.id, batch_size):
                self.batches.append(len(tasks))
                self.send(job.id, self.process(job.pipeline_slug, tasks))
                done += len(tasks)
        return done

    def get(self, path: str, **options: Any) -> requests.Response:
        """GET in a session of its own; anything but a 2xx raises."""
        with self._session() as session:
            answer = session.get(self.base + path, timeout=30, **options)
        answer.raise_for_status()
        return answer

    def post(self, path: str, body: Any) -> requests.Response:
        """POST JSON in a session of its own; a redirect would become a GET, and is an error here."""
        with self._session() as session:
            answer = session.post(self.base + path, json=body, timeout=60, allow_redirects=False)
        answer.raise_for_status()
        assert not answer.is_redirect
        return answer

    @contextmanager
    def _session(self) -> Iterator[requests.Session]:
        with requests.Session() as session:
            session.headers["Authorization"] = f"Token {self.token}"
            yield session


def load(url: str) -> Image.Image | None:
    """Download an image, without the token; None for what cannot be loaded."""
    with requests.Session() as session:
        answer = session.get(url, timeout=30)
    if not answer.ok:
        return None
    try:
        return Image.open(io.BytesIO(answer.content)).convert("RGB")
    except OSError:
        return None


def success(slug: str, task: Task, detections: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """One image's item, with the extra key `config` that workers send along."""
    return {
        "reply_subject": task.reply_subject,
        "result": {
            "pipeline": slug,
            "algorithms": {},
            "total_time": 0.0017,
            "source_images": [{"id": task.image_id, "url": task.image_url}],
            "detections": [{"source_image_id": task.image_id, **detection} for detection in detections],
            "config": {"example_config_param": None},
        },
    }


def now() -> str:
    """Local time without a zone, as workers send it."""
    return datetime.now().isoformat()  # noqa: DTZ005 - that is how existing workers do it

"""The demo's operator: logs in, starts a job and watches it, over the REST API like any client."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import requests

from ami.demo.errors import DemoError

ANSWER_SECONDS = 30
FINAL = frozenset({"SUCCESS", "FAILURE", "REVOKED"})


@dataclass(frozen=True)
class StageView:
    """One stage of a job. `figures`: its numbers by key; what is not known yet is 0."""

    key: str
    name: str
    progress: float
    """0 to 1."""
    figures: dict[str, int]


@dataclass(frozen=True)
class JobView:
    """What the API tells about a job."""

    id: int
    status: str
    seconds: float | None
    """From its start to its end; None until it has ended."""
    stages: tuple[StageView, ...]

    @property
    def ended(self) -> bool:
        """Whether it is final."""
        return self.status in FINAL

    def figure(self, stage: str, key: str) -> int:
        """One number of one stage, such as `process`, `failed`."""
        return next((view.figures.get(key, 0) for view in self.stages if view.key == stage), 0)


class Operator:
    """A person with an account. All methods raise DemoError with the server's words if it refuses."""

    def __init__(self, url: str, email: str, password: str) -> None:
        """Log in. `url`: scheme, host and port."""
        self._api = f"{url}/api/v2"
        self._session = requests.Session()
        answer = self._post("/auth/token/login/", {"email": email, "password": password})
        self.token: str = answer["auth_token"]
        self._session.headers["Authorization"] = f"Token {self.token}"

    def pipeline_id(self, project_id: int, slug: str) -> int:
        """The number of a pipeline that the project may use."""
        pipelines = self._get(f"/ml/pipelines/?project_id={project_id}")["results"]
        for pipeline in pipelines:
            if pipeline["slug"] == slug:
                return int(pipeline["id"])
        raise DemoError(f"The project {project_id} has no pipeline {slug}.")

    def start_job(self, *, name: str, project_id: int, pipeline_id: int, capture_set_id: int) -> int:
        """Create a job and submit it; returns its number."""
        job = self._post(
            "/jobs/?start_now=true",
            {
                "name": name,
                "project_id": project_id,
                "pipeline_id": pipeline_id,
                "source_image_collection_id": capture_set_id,
                "delay": 0,
                "shuffle": False,
            },
        )
        return int(job["id"])

    def job(self, job_id: int) -> JobView:
        """How a job is doing."""
        return _view(self._get(f"/jobs/{job_id}/?logs_limit=1"))

    def _get(self, path: str) -> Any:
        return self._call("GET", path)

    def _post(self, path: str, body: dict[str, Any]) -> Any:
        return self._call("POST", path, json=body)

    def _call(self, method: str, path: str, **options: Any) -> Any:
        url = self._api + path
        try:
            response = self._session.request(method, url, timeout=ANSWER_SECONDS, **options)
        except requests.RequestException as error:
            raise DemoError(f"{method} {url} was not answered: {type(error).__name__}.") from error
        if not response.ok:
            raise DemoError(f"{method} {url} was answered {response.status_code}: {response.text[:500]}")
        return response.json()


def _view(job: dict[str, Any]) -> JobView:
    return JobView(
        id=job["id"],
        status=job["status"],
        seconds=_seconds_between(job["started_at"], job["finished_at"]),
        stages=tuple(
            StageView(
                key=stage["key"],
                name=stage["name"],
                progress=stage["progress"],
                figures={param["key"]: param["value"] or 0 for param in stage["params"]},
            )
            for stage in job["progress"]["stages"]
        ),
    )


def _seconds_between(start: str | None, end: str | None) -> float | None:
    if not start or not end:
        return None
    return (datetime.fromisoformat(end) - datetime.fromisoformat(start)).total_seconds()

"""The worker's HTTP calls to an AMI server, with time limits, retries and clear sentences.

Safe to use from several threads. Posting the same results twice changes nothing on the server, so a post
whose answer was lost is sent again; a reservation is not, because the lost answer may have carried tasks.
"""

from __future__ import annotations

import dataclasses
import importlib.metadata
import os
import platform
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from typing import Any, TypeVar
from urllib.parse import urlsplit

import orjson
import pydantic
import requests

from ami.ml.schemas import (
    JobsResponse,
    ListedJob,
    PipelineConfigResponse,
    PipelineProcessingTask,
    PipelineRegistrationRequest,
    PipelineRegistrationResponse,
    PipelineTaskResult,
    QueuedTaskAcknowledgment,
    ResultResponse,
    TasksResponse,
)
from ami.worker.answers import explain_lost_connection, read_answer, root_cause
from ami.worker.errors import AnswerLost, BadAddress, WorkerError
from ami.worker.retrying import RetryPolicy, Wait, with_retries
from ami.worker.sessions import ThreadSessions, TokenAuth

API_PATH = "/api/v2"
CONNECT_SECONDS = 10.0
ANSWER_SECONDS = 30.0
RESULT_SECONDS = 60.0
GRACE_SECONDS = 8.0
"""How long after a stop we still try to hand results in; supervisors often kill after ten seconds."""
JOBS_PER_POLL = 20
MAX_POST_BYTES = 16_000_000
"""Results larger than this go in several posts; one post of a large model can exceed what servers accept."""

Model = TypeVar("Model", bound=pydantic.BaseModel)


class Project(pydantic.BaseModel):
    """A project that the token can see."""

    id: int
    name: str = ""


class _Projects(pydantic.BaseModel):
    results: list[Project]


class AmiClient:
    """One server, one token."""

    def __init__(
        self,
        url: str,
        token: str,
        *,
        service_name: str | None = None,
        retries: RetryPolicy | None = None,
        stop: threading.Event | None = None,
    ) -> None:
        """`service_name`: the name under which this worker is registered; `stop` ends its waits."""
        self.base = normalise_address(url)
        self.service_name = service_name or default_service_name()
        self._retries = retries or RetryPolicy()
        self._result_retries = dataclasses.replace(self._retries, attempts=2 * self._retries.attempts)
        self._stop = stop or threading.Event()
        self._give_up_at = float("inf")
        self._sessions = ThreadSessions(lambda: _session(token, self.service_name))

    def projects(self) -> list[Project]:
        """The projects that the token can see (first page)."""
        return self._get("/projects/", {}, _Projects).results

    def register(
        self, project_id: int, pipelines: Sequence[PipelineConfigResponse]
    ) -> PipelineRegistrationResponse:
        """Announce pipelines to a project. Safe to repeat: what is known stays as it is."""
        request = PipelineRegistrationRequest(
            processing_service_name=self.service_name, pipelines=list(pipelines)
        )
        body = request.model_dump_json(exclude_none=True).encode()
        return self._post(
            f"/projects/{project_id}/pipelines/", body, PipelineRegistrationResponse, seconds=RESULT_SECONDS
        )

    def jobs(self, slugs: Sequence[str]) -> list[ListedJob]:
        """Jobs that may have tasks for these pipelines; also tells the server that we are alive."""
        query = {
            "pipeline__slug__in": ",".join(slugs),
            "ids_only": "1",
            "incomplete_only": "1",
            "dispatch_mode": "async_api",
            "limit": str(JOBS_PER_POLL),
        }
        return self._get("/jobs/", query, JobsResponse).results

    def reserve(self, job_id: int, batch_size: int) -> list[PipelineProcessingTask]:
        """Take up to `batch_size` tasks of a job under a lease; an empty list means none right now."""
        body = orjson.dumps({"batch_size": batch_size, "client_info": self.client_info()})
        return self._post(f"/jobs/{job_id}/tasks/", body, TasksResponse, never=AnswerLost).tasks

    def post_results(
        self, job_id: int, results: Sequence[PipelineTaskResult]
    ) -> list[QueuedTaskAcknowledgment]:
        """Hand results in; one acknowledgment an item, in order. Safe to repeat: the first post counts."""
        acknowledged = []
        for body in self._result_bodies(results):
            answer = self._post(
                f"/jobs/{job_id}/result/",
                body,
                ResultResponse,
                seconds=RESULT_SECONDS,
                policy=self._result_retries,
                wait=self._wait_patiently,
            )
            acknowledged += answer.tasks
        return acknowledged

    def client_info(self) -> dict[str, Any]:
        """What this worker tells the server about itself with every reservation and result."""
        return {
            "name": self.service_name,
            "instance": f"{socket.gethostname()}:{os.getpid()}",
            "software": "ami-worker",
            "version": _version(),
            "platform": f"{platform.system()} {platform.machine()} Python {platform.python_version()}",
        }

    def close(self) -> None:
        """Close all connections."""
        self._sessions.close()

    def _result_bodies(self, results: Sequence[PipelineTaskResult]) -> Iterator[bytes]:
        tail = b'],"client_info":' + orjson.dumps(self.client_info()) + b"}"
        batch: list[bytes] = []
        size = 0
        for result in results:
            item = result.model_dump_json(exclude_none=True).encode()
            if batch and size + len(item) > MAX_POST_BYTES:
                yield b'{"results":[' + b",".join(batch) + tail
                batch, size = [], 0
            batch.append(item)
            size += len(item)
        if batch:
            yield b'{"results":[' + b",".join(batch) + tail

    def _get(self, path: str, query: dict[str, str], schema: type[Model]) -> Model:
        def call() -> Model:
            return read_answer(self._send("GET", path, ANSWER_SECONDS, params=query), schema)

        return with_retries(call, policy=self._retries, wait=self._stop.wait)

    def _post(
        self,
        path: str,
        body: bytes,
        schema: type[Model],
        *,
        seconds: float = ANSWER_SECONDS,
        never: type[WorkerError] | tuple[type[WorkerError], ...] = (),
        policy: RetryPolicy | None = None,
        wait: Wait | None = None,
    ) -> Model:
        def call() -> Model:
            headers = {"Content-Type": "application/json"}
            response = self._send("POST", path, seconds, data=body, headers=headers, allow_redirects=False)
            return read_answer(response, schema)

        return with_retries(call, policy=policy or self._retries, wait=wait or self._stop.wait, never=never)

    def _wait_patiently(self, seconds: float) -> bool:
        """Results are worth waiting for: a stop does not end the retries at once, but soon."""
        if not self._stop.wait(seconds):
            return False
        self._give_up_at = min(self._give_up_at, time.monotonic() + GRACE_SECONDS)
        time.sleep(min(seconds, 1.0))
        return time.monotonic() > self._give_up_at

    def _send(self, method: str, path: str, seconds: float, **options: Any) -> requests.Response:
        timeout = (CONNECT_SECONDS, seconds)
        try:
            return self._sessions.get().request(method, self.base + path, timeout=timeout, **options)
        except (requests.ReadTimeout, requests.exceptions.ChunkedEncodingError) as error:
            raise AnswerLost(f"{self.base} took the request, but its answer did not arrive.") from error
        except requests.ConnectionError as error:
            raise explain_lost_connection(self.base, error) from error
        except requests.RequestException as error:
            raise BadAddress(f"Cannot send a request to {self.base}: {root_cause(error)}.") from error


def normalise_address(url: str) -> str:
    """The base of all calls, without a slash at the end; `/api/v2` is added if it is missing."""
    parts = urlsplit(url.strip())
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise BadAddress(
            f"{url!r} is not the address of a server. It looks like https://ami.example.org or http://localhost:8000."
        )
    path = parts.path.rstrip("/")
    if not path.endswith(API_PATH):
        path += API_PATH
    return f"{parts.scheme}://{parts.netloc}{path}"


def default_service_name() -> str:
    """The name of this worker unless AMI_WORKER_NAME says another: stable over restarts, one a machine."""
    return f"AMI worker ({socket.gethostname()})"


def _session(token: str, service_name: str) -> requests.Session:
    session = requests.Session()
    session.auth = TokenAuth(token)
    printable = service_name.encode("ascii", "replace").decode()
    session.headers.update({"User-Agent": f"ami-worker/{_version()}", "X-Processing-Service-Name": printable})
    return session


def _version() -> str:
    try:
        return importlib.metadata.version("ami")
    except importlib.metadata.PackageNotFoundError:
        return "unknown"

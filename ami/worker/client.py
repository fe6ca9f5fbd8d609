"""The calls of the worker protocol as Python methods: `AmiClient`, for the loop of a worker or for your own.

    client = AmiClient("https://ami.example.org", token, service_name="gpu-01")
    answer = client.reserve(8, wait=20)              # tasks of whatever job has some
    client.extend([task.reply_subject for task in answer.tasks])
    client.post_results(job_id, results)             # or release(…), or fail(…)

Every method answers with a schema of `ami.ml.schemas`, or raises a `WorkerError` whose sentence says what
to do. What failed for a moment is tried again: with pauses that grow, or as long as `Retry-After` asks.
Repeating does no harm, with one exception: a reservation whose answer was lost is not repeated, because the
lost answer may have carried tasks. They come back when their lease is over.

Safe to use from several threads. docs/reference/worker-protocol.md tells what each call means.
"""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Iterator, Sequence
from typing import Any, TypeVar

import pydantic

from ami.ml.schemas import (
    FailedTask,
    FailRequest,
    FailResponse,
    LeasesRequest,
    LeasesResponse,
    LeaseState,
    NextJobRequest,
    NextJobResponse,
    PipelineConfigResponse,
    PipelineProcessingTask,
    PipelineRegistrationRequest,
    PipelineRegistrationResponse,
    PipelineTaskResult,
    ProcessingServiceClientInfo,
    QueuedTaskAcknowledgment,
    ReserveRequest,
    ReserveResponse,
    ResultResponse,
    TaskFailure,
    TasksResponse,
)
from ami.worker.bodies import json_body, result_bodies
from ami.worker.errors import AnswerLost, ServerFailed
from ami.worker.identity import Identity, default_instance, default_name
from ami.worker.retrying import RetryPolicy
from ami.worker.transport import ANSWER_SECONDS, Patience, Transport

RESULT_SECONDS = 60.0
PATIENCE_SECONDS = 8.0
"""How long after a stop we still try to hand results in; supervisors often kill after ten seconds."""
LEASES_PER_CALL = 500
PERHAPS_ACTED = (AnswerLost, ServerFailed)
"""After these a reservation is not repeated: the server may have handed tasks out."""


Item = TypeVar("Item")


class Project(pydantic.BaseModel):
    """A project that the token can see."""

    id: int
    name: str = ""


class _Projects(pydantic.BaseModel):
    results: list[Project]


class _TasksRequest(pydantic.BaseModel):
    batch_size: int
    client_info: ProcessingServiceClientInfo


class AmiClient:
    """One server, one token."""

    def __init__(
        self,
        url: str,
        token: str,
        *,
        service_name: str | None = None,
        instance: str | None = None,
        compress: bool = True,
        retries: RetryPolicy | None = None,
        stop: threading.Event | None = None,
    ) -> None:
        """`token`: a worker key, or the token of a user. `service_name`: under which we are registered.

        `instance`: tells us from other processes of that name, and is the same after a restart; the host
        unless AMI_WORKER_INSTANCE says another. `compress`: large results go as gzip. `stop` ends all waits.
        """
        identity = Identity(service_name or default_name(), instance or default_instance())
        self.service_name = identity.name
        self.instance = identity.instance
        self._identity = identity
        self._compress = compress
        self._stop = stop or threading.Event()
        policy = retries or RetryPolicy()
        self._result_retries = dataclasses.replace(policy, attempts=2 * policy.attempts)
        self._patience = Patience(self._stop, PATIENCE_SECONDS)
        self._transport = Transport(url, token, identity, policy, self._stop)
        self.base = self._transport.base

    def projects(self) -> list[Project]:
        """The projects that the token can see (first page)."""
        return self._transport.get("/projects/", _Projects).results

    def register(
        self, project_id: int, pipelines: Sequence[PipelineConfigResponse]
    ) -> PipelineRegistrationResponse:
        """Announce pipelines to a project. Safe to repeat: what is known stays as it is."""
        request = PipelineRegistrationRequest(
            processing_service_name=self.service_name, pipelines=list(pipelines), client_info=self._info()
        )
        path = f"/projects/{project_id}/pipelines/"
        return self._transport.post(
            path, json_body(request), PipelineRegistrationResponse, seconds=RESULT_SECONDS
        )

    def reserve(
        self, batch_size: int, *, wait: float = 0.0, pipelines: Sequence[str] | None = None
    ) -> ReserveResponse:
        """Take up to `batch_size` tasks of all jobs under a lease, waiting up to `wait` seconds for some.

        `pipelines`: only tasks for these slugs. If there are none, `retry_after` says how many seconds to
        stay away, if the server wants that.
        """
        request = ReserveRequest(
            batch_size=batch_size, wait=wait, pipelines=_given(pipelines), client_info=self._info()
        )
        return self._transport.post(
            "/tasks/reserve/",
            json_body(request),
            ReserveResponse,
            seconds=ANSWER_SECONDS + wait,
            never=PERHAPS_ACTED,
        )

    def next_job(self, pipelines: Sequence[str] | None = None) -> NextJobResponse:
        """The job whose turn it is, for a loop that works job by job with `reserve_from`."""
        request = NextJobRequest(pipelines=_given(pipelines), client_info=self._info())
        return self._transport.post("/jobs/next/", json_body(request), NextJobResponse)

    def reserve_from(self, job_id: int, batch_size: int) -> list[PipelineProcessingTask]:
        """Take up to `batch_size` tasks of one job under a lease; an empty list means none right now."""
        body = json_body(_TasksRequest(batch_size=batch_size, client_info=self._info()))
        return self._transport.post(f"/jobs/{job_id}/tasks/", body, TasksResponse, never=PERHAPS_ACTED).tasks

    def extend(
        self,
        leases: Sequence[str],
        *,
        retries: RetryPolicy | None = None,
        seconds: float = ANSWER_SECONDS,
    ) -> LeasesResponse:
        """Keep tasks in hand: their leases (`reply_subject`) begin anew. Tells which are lost or cancelled.

        `seconds`: how long to wait for the answer. Safe to repeat.
        """
        return self._about("extend", leases, retries, seconds)

    def release(
        self,
        leases: Sequence[str],
        *,
        retries: RetryPolicy | None = None,
        seconds: float = ANSWER_SECONDS,
    ) -> LeasesResponse:
        """Give tasks back, so that others get them at once; costs the images no attempt. Safe to repeat."""
        return self._about("release", leases, retries, seconds)

    def fail(self, failures: Sequence[TaskFailure]) -> list[FailedTask]:
        """Say that tasks will get no result from us. Safe to repeat: a lease fails once."""
        answers: list[FailedTask] = []
        for portion in _portions(failures):
            request = FailRequest(failures=list(portion), client_info=self._info())
            answers += self._transport.post("/tasks/fail/", json_body(request), FailResponse).tasks
        return answers

    def post_results(
        self, job_id: int, results: Sequence[PipelineTaskResult]
    ) -> list[QueuedTaskAcknowledgment]:
        """Hand results of one job in; one acknowledgment an item, in order.

        Safe to repeat: the first post counts.
        """
        acknowledged = []
        for body in result_bodies(results, self.client_info(), compress=self._compress):
            answer = self._transport.post(
                f"/jobs/{job_id}/result/",
                body,
                ResultResponse,
                seconds=RESULT_SECONDS,
                policy=self._result_retries,
                wait=self._patience.wait,
            )
            acknowledged += answer.tasks
        return acknowledged

    def client_info(self) -> dict[str, Any]:
        """What this worker tells the server about itself with every post."""
        return self._identity.client_info()

    def close(self) -> None:
        """Close all connections."""
        self._transport.close()

    def _about(
        self, verb: str, leases: Sequence[str], retries: RetryPolicy | None, seconds: float
    ) -> LeasesResponse:
        states: list[LeaseState] = []
        lasting = None
        for portion in _portions(leases):
            body = json_body(LeasesRequest(leases=list(portion), client_info=self._info()))
            answer = self._transport.post(
                f"/tasks/{verb}/", body, LeasesResponse, policy=retries, seconds=seconds
            )
            states += answer.leases
            lasting = answer.lease_seconds
        return LeasesResponse(leases=states, lease_seconds=lasting)

    def _info(self) -> ProcessingServiceClientInfo:
        return ProcessingServiceClientInfo.model_validate(self.client_info())


def _given(pipelines: Sequence[str] | None) -> list[str] | None:
    return None if pipelines is None else list(pipelines)


def _portions(items: Sequence[Item]) -> Iterator[Sequence[Item]]:
    """Cut what is too much for one call."""
    for start in range(0, len(items), LEASES_PER_CALL):
        yield items[start : start + LEASES_PER_CALL]

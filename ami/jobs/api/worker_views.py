"""The two calls that workers live on: take tasks, post results (contract 1.9.3, 1.9.4)."""

from __future__ import annotations

import math
from contextlib import ExitStack
from typing import Any

import structlog
from django.db import InterfaceError, OperationalError
from drf_spectacular.utils import extend_schema
from rest_framework.decorators import action
from rest_framework.exceptions import NotFound, ValidationError
from rest_framework.parsers import FormParser, MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response

from ami.base.api.exceptions import DATABASE_SILENT
from ami.base.api.fields import parse_key
from ami.base.api.json import SmallJsonParser
from ami.base.errors import TemporarilyUnavailable
from ami.jobs.api.large_posts import LargePostsFull
from ami.jobs.api.presence import note_call
from ami.jobs.api.result_body import HELD, ResultParser
from ami.jobs.api.worker_access import find_job
from ami.jobs.api.worker_wire import (
    ResultRequestSerializer,
    ResultResponseSerializer,
    TasksRequestSerializer,
    TasksResponseSerializer,
    answer_as_wire,
    batch_size,
    caller,
    given_name,
    posted_results,
    task_as_wire,
)
from ami.jobs.lifecycle.posts import ItemStatus
from ami.jobs.lifecycle.receive import receive
from ami.jobs.lifecycle.reserve import reserve_tasks
from ami.jobs.models import Job
from ami.jobs.states import SERVING, DispatchMode
from ami.main.api.viewsets import ProjectScopedViewSet
from ami.main.media import base_url_of
from ami.taskqueue import QueueUnavailable, ReserveRequest

logger = structlog.get_logger(__name__)


class WorkerCallsViewSet(ProjectScopedViewSet[Job]):
    """What a worker may do to a job; the rest is `JobViewSet`."""

    @extend_schema(request=TasksRequestSerializer, responses=TasksResponseSerializer)
    @action(detail=True, methods=["post"], parser_classes=[SmallJsonParser, FormParser, MultiPartParser])
    def tasks(self, request: Request, pk: str, **_: Any) -> Response:
        """Take up to `batch_size` tasks, each under a lease; an empty list when there is nothing to do."""
        wanted = batch_size(request)
        job = self._job(request, "tasks")
        if job.dispatch_mode != DispatchMode.ASYNC_API:
            raise ValidationError(["Only async_api jobs have fetchable tasks"])
        if job.status not in SERVING:
            return Response({"tasks": []})
        if job.pipeline_id is None:
            raise ValidationError(["This job does not have a pipeline configured"])
        note_call(given_name(request), job)
        try:
            reserved = reserve_tasks(
                [ReserveRequest(job.pk, job.queue_epoch, wanted)],
                worker=caller(request),
                base_url=base_url_of(request._request),
            )
        except QueueUnavailable as error:
            return _try_again(error, {"error": "Task queue temporarily unavailable", "detail": error.message})
        return Response({"tasks": [task_as_wire(task) for task in reserved]})

    @extend_schema(request=ResultRequestSerializer, responses=ResultResponseSerializer)
    @action(detail=True, methods=["post"], parser_classes=[ResultParser])
    def result(self, request: Request, pk: str, **_: Any) -> Response:
        """Post results; each item is judged alone, and what is accepted is durable when this answers."""
        job = self._job(request, "result")
        with ExitStack() as held:
            request.parser_context[HELD] = held
            try:
                return self._take(request, job)
            except LargePostsFull as error:
                return _try_again(error, {"status": "error", "job_id": job.pk, "detail": error.message})

    def _take(self, request: Request, job: Job) -> Response:
        note_call(given_name(request), job)
        results = posted_results(request)
        try:
            answers = receive(job, results, worker=caller(request))
        except Job.DoesNotExist:
            raise NotFound("Not found.") from None
        except (OperationalError, InterfaceError):
            logger.exception("result.not_committed", job_id=job.pk, items=len(results))
            error = TemporarilyUnavailable(f"{DATABASE_SILENT} Repeating a post does no harm.")
            return _try_again(error, {"status": "error", "job_id": job.pk, "detail": error.message})
        return Response(
            {
                "status": "accepted",
                "job_id": job.pk,
                "results_queued": sum(1 for answer in answers if answer.status == ItemStatus.QUEUED),
                "tasks": [answer_as_wire(answer) for answer in answers],
            }
        )

    def _job(self, request: Request, verb: str) -> Job:
        """The job of the URL. Raises a 404, 401 or 403 unless the caller may do this to it."""
        key = parse_key(self.kwargs["pk"])
        found = None if key is None else find_job(request.user, key)
        if found is None:
            raise NotFound("Not found.")
        job, held = found
        if f"{verb}_{job.job_type_key}_job" not in held and not request.user.is_superuser:
            self.permission_denied(request)
        return job


def _try_again(error: TemporarilyUnavailable, body: dict[str, object]) -> Response:
    """503 in the words of these endpoints."""
    wait = str(max(1, math.ceil(error.retry_after)))
    return Response(body | {"code": error.code}, status=503, headers={"Retry-After": wait})

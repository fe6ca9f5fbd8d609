"""The two calls that workers live on: take tasks, post results (contract 1.9.3, 1.9.4)."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any

import structlog
from django.conf import settings
from django.db import InterfaceError, OperationalError
from django.db.models import F
from drf_spectacular.utils import extend_schema
from rest_framework.decorators import action
from rest_framework.exceptions import NotFound, ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from ami.base.api.exceptions import DATABASE_SILENT
from ami.base.api.fields import parse_key
from ami.base.api.forms import SmallFormParser, SmallMultiPartParser
from ami.base.api.json import SmallJsonParser
from ami.base.errors import TemporarilyUnavailable
from ami.jobs.api.callers import caller
from ami.jobs.api.large_posts import LargePostsFull
from ami.jobs.api.presence import note_call, note_rejected
from ami.jobs.api.reach import reach_of
from ami.jobs.api.result_body import HELD, ResultParser
from ami.jobs.api.silence import queue_silent, try_again
from ami.jobs.api.task_wire import NextRequestSerializer, NextResponseSerializer, suggested_batch_size
from ami.jobs.api.worker_access import find_job
from ami.jobs.api.worker_wire import (
    ResultRequestSerializer,
    ResultResponseSerializer,
    TasksRequestSerializer,
    TasksResponseSerializer,
    answer_as_wire,
    batch_size,
    client_info,
    posted_results,
    task_as_wire,
)
from ami.jobs.lifecycle import turns
from ami.jobs.lifecycle.posts import ItemStatus
from ami.jobs.lifecycle.receive import receive
from ami.jobs.lifecycle.reserve import reserve_tasks
from ami.jobs.models import Job
from ami.jobs.states import SERVING, DispatchMode
from ami.main.api.viewsets import ProjectScopedViewSet
from ami.main.media import base_url_of
from ami.ml.pipeline_configs import travelling_config
from ami.taskqueue import QueueUnavailable, ReserveRequest

logger = structlog.get_logger(__name__)

MOST_CLAIMED_AMONG = 200
"""Jobs with work among which a claim chooses; the others have their turn later."""


class WorkerCallsViewSet(ProjectScopedViewSet[Job]):
    """What a worker may do to a job; the rest is `JobViewSet`."""

    rate_kinds = {"tasks": "worker", "next": "worker", "list": "worker", "result": "results"}

    @extend_schema(request=TasksRequestSerializer, responses=TasksResponseSerializer)
    @action(
        detail=True, methods=["post"], parser_classes=[SmallJsonParser, SmallFormParser, SmallMultiPartParser]
    )
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
        who = caller(request, client_info(request))
        config = travelling_config(job.project_id, job.pipeline_id)
        note_call(who, [config.slug] if config else [], [job.project_id])
        try:
            reserved = reserve_tasks(
                [ReserveRequest(job.pk, job.queue_epoch, wanted)],
                worker=who.worker,
                base_url=base_url_of(request._request),
            )
        except QueueUnavailable as error:
            return queue_silent(error)
        return Response({"tasks": [task_as_wire(task, config) for task in reserved]})

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
                return try_again(error, {"status": "error", "job_id": job.pk, "detail": error.message})

    def _take(self, request: Request, job: Job) -> Response:
        who = caller(request, client_info(request))
        note_call(who, [], [job.project_id])
        results = posted_results(request)
        try:
            answers = receive(job, results, worker=who.worker)
        except Job.DoesNotExist:
            raise NotFound("Not found.") from None
        except (OperationalError, InterfaceError):
            logger.exception("result.not_committed", job_id=job.pk, items=len(results))
            error = TemporarilyUnavailable(f"{DATABASE_SILENT} Repeating a post does no harm.")
            return try_again(error, {"status": "error", "job_id": job.pk, "detail": error.message})
        note_rejected(who, sum(1 for answer in answers if answer.status == ItemStatus.REJECTED))
        return Response(
            {
                "status": "accepted",
                "job_id": job.pk,
                "results_queued": sum(1 for answer in answers if answer.status == ItemStatus.QUEUED),
                "tasks": [answer_as_wire(answer) for answer in answers],
            }
        )

    @extend_schema(request=NextRequestSerializer, responses=NextResponseSerializer)
    @action(detail=False, methods=["post"], parser_classes=[SmallJsonParser])
    def next(self, request: Request, **_: Any) -> Response:
        """Claim a turn: the job whose tasks the caller should take next, fairly between jobs."""
        body = NextRequestSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        reach = reach_of(self.access, body.validated_data.get("pipelines"))
        if not reach.projects:
            self.permission_denied(request)
        note_call(
            caller(request, client_info(request)), body.validated_data.get("pipelines") or [], reach.projects
        )
        working = turns.with_work(turns.candidates(reach), MOST_CLAIMED_AMONG)
        job_id = turns.claim([job.job_id for job in working])
        named = Job.objects.filter(pk__in=[] if job_id is None else [job_id], pipeline__isnull=False)
        job = named.values("id", "name", pipeline_slug=F("pipeline__slug")).first()
        return Response(
            {"job": job, "batch_size": suggested_batch_size(), "lease_seconds": settings.NATS_TASK_TTR}
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

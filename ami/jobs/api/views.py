"""The endpoints of jobs (contract 1.9). Thin: authorise, parse, call the lifecycle, render."""

from __future__ import annotations

from typing import Any, ClassVar

from django.db import transaction
from django.db.models import QuerySet
from drf_spectacular.utils import OpenApiParameter, extend_schema, extend_schema_view
from rest_framework import mixins, status
from rest_framework.decorators import action
from rest_framework.exceptions import NotFound, PermissionDenied, ValidationError
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import BaseSerializer

from ami.base.api.filters import flag
from ami.jobs.api.filters import JobFilter, narrow
from ami.jobs.api.parameters import LOGS_DEFAULT, LOGS_MAX, bounded_integer
from ami.jobs.api.serializers import JobListSerializer, JobSerializer, MinimalJobSerializer
from ami.jobs.api.worker_wire import (
    ResultRequestSerializer,
    ResultResponseSerializer,
    TasksRequestSerializer,
    TasksResponseSerializer,
    answer_as_wire,
    batch_size,
    caller,
    posted_results,
    task_as_wire,
)
from ami.jobs.lifecycle.cancel import cancel_job
from ami.jobs.lifecycle.delete import delete_job
from ami.jobs.lifecycle.dispatch import dispatch_job
from ami.jobs.lifecycle.enqueue import run_job
from ami.jobs.lifecycle.posts import ItemStatus
from ami.jobs.lifecycle.receive import receive
from ami.jobs.lifecycle.reserve import reserve_tasks
from ami.jobs.lifecycle.retry import retry_job
from ami.jobs.models import Job
from ami.jobs.states import SERVING, DispatchMode
from ami.main.api.viewsets import ProjectScopedViewSet
from ami.main.media import base_url_of
from ami.taskqueue import ReserveRequest

WORKER_ACTIONS = frozenset({"tasks", "result"})
IDS_ONLY_LIMIT = 1

_FLAGS = [
    OpenApiParameter("ids_only", bool, description="Only ids and pipeline slugs, in random order."),
    OpenApiParameter("incomplete_only", bool, description="Without jobs that have ended."),
    OpenApiParameter("cutoff_hours", int, description="Hide jobs that failed longer ago than this."),
]


@extend_schema_view(list=extend_schema(parameters=_FLAGS))
class JobViewSet(
    mixins.CreateModelMixin,
    mixins.RetrieveModelMixin,
    mixins.UpdateModelMixin,
    mixins.DestroyModelMixin,
    mixins.ListModelMixin,
    ProjectScopedViewSet[Job],
):
    """Jobs: create, watch, run, cancel and retry them; take tasks and post results as a worker."""

    queryset = Job.objects.all()
    serializer_class = JobSerializer
    filterset_class = JobFilter
    search_fields: ClassVar[list[str]] = ["name", "pipeline__name"]
    ordering_fields: ClassVar[list[str]] = [
        "name",
        "created_at",
        "updated_at",
        "status",
        "started_at",
        "finished_at",
        "project",
        "deployment",
        "source_image_collection",
        "pipeline",
    ]

    @property
    def default_limit(self) -> int:
        """Workers that poll get one job unless they ask for more."""
        return IDS_ONLY_LIMIT if self._ids_only else 20

    @property
    def _ids_only(self) -> bool:
        return self.action == "list" and flag(self.request, "ids_only")

    def get_queryset(self) -> QuerySet[Job]:
        """Jobs of visible projects, with what the answer shows."""
        jobs = super().get_queryset()
        if self.action in WORKER_ACTIONS:
            return jobs
        if self.action == "list":
            jobs = narrow(jobs, self.request)
        return jobs.select_related(
            "project",
            "deployment",
            "source_image_collection",
            "source_image_single",
            "pipeline",
        ).prefetch_related("stages")

    def get_serializer_class(self) -> type[BaseSerializer[Any]]:
        """Lists leave out the result."""
        return JobListSerializer if self.action == "list" else JobSerializer

    def get_serializer_context(self) -> dict[str, Any]:
        """How many log lines a job shows by itself."""
        context = dict(super().get_serializer_context())
        if self.action not in ("list", *WORKER_ACTIONS):
            context["logs_limit"] = bounded_integer(self.request, "logs_limit", LOGS_DEFAULT, 1, LOGS_MAX)
        return context

    def list(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Jobs, newest first; with `ids_only` just enough for a worker that looks for work."""
        if not self._ids_only:
            return super().list(request, *args, **kwargs)
        jobs = self.filter_queryset(self.get_queryset()).filter(pipeline__isnull=False)
        rows = jobs.select_related(None).prefetch_related(None).order_by("?").values("id", "pipeline__slug")
        page: Any = self.paginate_queryset(rows)
        return self.get_paginated_response(MinimalJobSerializer(page, many=True).data)

    def may(self, request: Request, obj: Job) -> bool:
        """Actions on a job need the permission of its type: `run_ml_job`, `tasks_ml_job`, …"""
        held = self.access.permissions(obj.project_id)
        match self.action:
            case "tasks" | "result":
                return f"{self.action}_{obj.job_type_key}_job" in held or request.user.is_superuser
            case "run" | "retry" | "cancel":
                return self._may_run(obj)
        return super().may(request, obj)

    def _may_run(self, job: Job) -> bool:
        names = [f"run_{job.job_type_key}_job"]
        if job.source_image_single_id is not None:
            names.append(f"run_single_image_{job.job_type_key}_job")
        return any(self.access.may(name, job.project_id) for name in names)

    def perform_create(self, serializer: BaseSerializer[Job]) -> None:
        """Create the job; with `?start_now`, submit it in the same transaction."""
        project = serializer.validated_data["project"]
        self.require("create", project.pk)
        with transaction.atomic():
            job = serializer.save(created_by=self.request.user)
            if flag(self.request, "start_now"):
                if not self._may_run(job):
                    raise PermissionDenied("You do not have permission to run this job.")
                run_job(job)
        serializer.instance = self.get_queryset().get(pk=job.pk)

    def perform_destroy(self, instance: Job) -> None:
        """Cancel it first, then delete it."""
        delete_job(instance)

    @extend_schema(request=None, responses=JobSerializer)
    @action(detail=True, methods=["post"])
    def run(self, request: Request, pk: str | None = None) -> Response:
        """Submit a job; one that is on its way stays as it is, one that ended is retried."""
        job = self.get_object()
        run_job(job)
        if flag(request, "no_async"):
            dispatch_job(job.pk)
        return self._shown(job.pk)

    @extend_schema(request=None, responses=JobSerializer)
    @action(detail=True, methods=["post"])
    def retry(self, request: Request, pk: str | None = None) -> Response:
        """Repeat what a job that ended left undone; one that did not end stays as it is."""
        job = self.get_object()
        retry_job(job)
        if flag(request, "no_async"):
            dispatch_job(job.pk)
        return self._shown(job.pk)

    @extend_schema(request=None, responses=JobSerializer)
    @action(detail=True, methods=["post"])
    def cancel(self, request: Request, pk: str | None = None) -> Response:
        """End a job now; one that ended stays as it is."""
        job = self.get_object()
        cancel_job(job.pk, by=f"user {request.user.pk}")
        return self._shown(job.pk)

    @extend_schema(request=TasksRequestSerializer, responses=TasksResponseSerializer)
    @action(detail=True, methods=["post"])
    def tasks(self, request: Request, pk: str | None = None) -> Response:
        """Take up to `batch_size` tasks, each under a lease; an empty list when there is nothing to do."""
        wanted = batch_size(request)
        job = self.get_object()
        if job.dispatch_mode != DispatchMode.ASYNC_API:
            raise ValidationError(["Only async_api jobs have fetchable tasks"])
        if job.status not in SERVING:
            return Response({"tasks": []})
        if job.pipeline_id is None:
            raise ValidationError(["This job does not have a pipeline configured"])
        reserved = reserve_tasks(
            [ReserveRequest(job.pk, job.queue_epoch, wanted)],
            worker=caller(request),
            base_url=base_url_of(request._request),
        )
        return Response({"tasks": [task_as_wire(task) for task in reserved]})

    @extend_schema(request=ResultRequestSerializer, responses=ResultResponseSerializer)
    @action(detail=True, methods=["post"])
    def result(self, request: Request, pk: str | None = None) -> Response:
        """Post results; each item is judged alone, and what is accepted is durable when this answers."""
        job = self.get_object()
        try:
            answers = receive(job, posted_results(request), worker=caller(request))
        except Job.DoesNotExist:
            raise NotFound("Not found.") from None
        return Response(
            {
                "status": "accepted",
                "job_id": job.pk,
                "results_queued": sum(1 for answer in answers if answer.status == ItemStatus.QUEUED),
                "tasks": [answer_as_wire(answer) for answer in answers],
            },
            status=status.HTTP_200_OK,
        )

    def _shown(self, job_id: int) -> Response:
        return Response(self.get_serializer(self.get_queryset().get(pk=job_id)).data)

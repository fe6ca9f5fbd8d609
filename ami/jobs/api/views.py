"""The endpoints of jobs (contract 1.9). Thin: authorise, parse, call the lifecycle, render."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from django.db import transaction
from django.db.models import QuerySet
from drf_spectacular.utils import OpenApiParameter, extend_schema, extend_schema_view
from rest_framework import mixins
from rest_framework.decorators import action
from rest_framework.exceptions import NotFound, PermissionDenied
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import BaseSerializer

from ami.base.api.fields import parse_key
from ami.base.api.filters import flag
from ami.jobs.api.callers import caller
from ami.jobs.api.failures import FailureCallsViewSet
from ami.jobs.api.filters import JobFilter, narrow
from ami.jobs.api.parameters import LOGS_DEFAULT, LOGS_MAX, bounded_integer
from ami.jobs.api.polling import polled
from ami.jobs.api.presence import note_call
from ami.jobs.api.reach import workplaces
from ami.jobs.api.running import may_run
from ami.jobs.api.serializers import JobListSerializer, JobSerializer, PolledJobSerializer
from ami.jobs.api.shown import shown_job, with_parts
from ami.jobs.api.worker_views import WorkerCallsViewSet
from ami.jobs.lifecycle.cancel import cancel_job
from ami.jobs.lifecycle.delete import delete_job
from ami.jobs.lifecycle.dispatch import dispatch_job
from ami.jobs.lifecycle.enqueue import run_job
from ami.jobs.models import Job
from ami.users.callers import Machine

IDS_ONLY_LIMIT = 1

_LIST_PARAMETERS = [
    OpenApiParameter("ids_only", bool, description="Only ids and pipeline slugs, in random order."),
    OpenApiParameter("incomplete_only", bool, description="Without jobs that have ended."),
    OpenApiParameter("cutoff_hours", int, description="Hide jobs that failed longer ago than this."),
    OpenApiParameter("project_id", int, description="Only jobs of this project."),
]
_START_NOW = OpenApiParameter("start_now", bool, description="Run it at once.")
_LOGS_LIMIT = OpenApiParameter("logs_limit", int, description=f"Lines of the log, 1 to {LOGS_MAX:,}.")


@extend_schema_view(
    list=extend_schema(parameters=_LIST_PARAMETERS, responses=JobListSerializer(many=True)),
    create=extend_schema(parameters=[_START_NOW]),
    retrieve=extend_schema(parameters=[_LOGS_LIMIT]),
)
class JobViewSet(
    mixins.CreateModelMixin,
    mixins.RetrieveModelMixin,
    mixins.UpdateModelMixin,
    mixins.DestroyModelMixin,
    mixins.ListModelMixin,
    FailureCallsViewSet,
    WorkerCallsViewSet,
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
        return with_parts(narrow(jobs, self.request) if self.action == "list" else jobs)

    def get_object(self) -> Job:
        """The job of the URL, if the caller may do this to it; the filters of the list play no part."""
        key = parse_key(self.kwargs["pk"])
        job = None if key is None else self.get_queryset().filter(pk=key).first()
        if job is None:
            raise NotFound("Not found.")
        self.check_object_permissions(self.request, job)
        return job

    def get_serializer_class(self) -> type[BaseSerializer[Any]]:
        """Lists leave out the result."""
        return JobListSerializer if self.action == "list" else JobSerializer

    def get_serializer_context(self) -> dict[str, Any]:
        """How many log lines a job shows by itself; lists never read the log."""
        context = dict(super().get_serializer_context())
        if self.action != "list":
            context["logs_limit"] = bounded_integer(self.request, "logs_limit", LOGS_DEFAULT, 1, LOGS_MAX)
        return context

    def list(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Jobs, newest first; with `ids_only` just enough for a worker that looks for work."""
        return self._poll(request) if self._ids_only else super().list(request, *args, **kwargs)

    def _poll(self, request: Request) -> Response:
        projects = workplaces(self.access)
        jobs = self.filter_queryset(self.get_queryset())
        self._note_poll(request, projects)
        shown: Any = polled(
            jobs,
            projects,
            incomplete_only=flag(request, "incomplete_only"),
            pipeline_ids=request.user.pipeline_ids if isinstance(request.user, Machine) else None,
        )
        page: Any = self.paginate_queryset(shown)
        return self.get_paginated_response(PolledJobSerializer(page, many=True).data)

    def _note_poll(self, request: Request, projects: Sequence[int]) -> None:
        slugs = [slug for slug in request.query_params.get("pipeline__slug__in", "").split(",") if slug]
        if self.active_project is not None:
            projects = [project for project in projects if project == self.active_project.pk]
        if projects:
            note_call(caller(request), slugs, projects)

    def may(self, request: Request, obj: Job) -> bool:
        """Running, repeating and cancelling a job need the permission of its type, such as `run_ml_job`."""
        if self.action in ("run", "retry", "retry_failed", "cancel"):
            return may_run(self.access, obj)
        return super().may(request, obj)

    @transaction.atomic
    def perform_create(self, serializer: BaseSerializer[Job]) -> None:
        """Create the job; with `?start_now`, submit it in the same transaction."""
        self.require("create", serializer.validated_data["project"].pk)
        job = serializer.save(created_by=self.request.user)
        if flag(self.request, "start_now"):
            if not may_run(self.access, job):
                raise PermissionDenied("You do not have permission to run this job.")
            run_job(job)
        serializer.instance = shown_job(job.pk)

    def perform_update(self, serializer: BaseSerializer[Job]) -> None:
        """Change what may still change."""
        serializer.instance = shown_job(serializer.save().pk)

    def perform_destroy(self, instance: Job) -> None:
        """Cancel it first, then delete it."""
        delete_job(instance)

    @extend_schema(request=None, responses=JobSerializer)
    @action(detail=True, methods=["post"])
    def run(self, request: Request, pk: str, **_: Any) -> Response:
        """Submit a job; one that is on its way stays as it is, one that ended is retried."""
        return self._run(self.get_object())

    @extend_schema(request=None, responses=JobSerializer)
    @action(detail=True, methods=["post"])
    def retry(self, request: Request, pk: str, **_: Any) -> Response:
        """Repeat what a job that ended left undone; one that did not end stays as it is."""
        job = self.get_object()
        return self._run(job) if job.is_final else self._answer(job.pk)

    @extend_schema(request=None, responses=JobSerializer)
    @action(detail=True, methods=["post"])
    def cancel(self, request: Request, pk: str, **_: Any) -> Response:
        """End a job now; one that ended stays as it is."""
        job = self.get_object()
        cancel_job(job.pk, by=f"user {request.user.pk}")
        return self._answer(job.pk)

    def _run(self, job: Job) -> Response:
        run_job(job)
        if flag(self.request, "no_async"):
            dispatch_job(job.pk)
        return self._answer(job.pk)

    def _answer(self, job_id: int) -> Response:
        return Response(self.get_serializer(shown_job(job_id)).data)

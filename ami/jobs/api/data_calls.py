"""Calls on stations and capture sets that start internal jobs: the endpoints of `main`, with what only this
layer knows."""

from __future__ import annotations

from typing import Any

from django.db import transaction
from drf_spectacular.utils import OpenApiParameter, extend_schema, inline_serializer
from rest_framework import serializers, status
from rest_framework.decorators import action
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from ami.base.errors import InvalidInput
from ami.jobs.lifecycle.create import create_job
from ami.jobs.lifecycle.enqueue import run_job
from ami.jobs.models import Job
from ami.jobs.states import FINAL
from ami.main.api.views.capture_sets import CaptureSetViewSet
from ami.main.api.views.deployments import DeploymentViewSet
from ami.main.models import Deployment
from ami.users.models import User

SYNC = "data_storage_sync"

_Started = inline_serializer(
    "JobStarted", {"job_id": serializers.IntegerField(), "project_id": serializers.IntegerField()}
)
_Regrouping = inline_serializer(
    "RegroupingStarted",
    {
        "job_id": serializers.IntegerField(),
        "deployment_id": serializers.IntegerField(),
        "project_id": serializers.IntegerField(),
    },
)
_AllStarted = inline_serializer(
    "JobsStarted",
    {
        "job_ids": serializers.ListField(child=serializers.IntegerField()),
        "queued": serializers.IntegerField(),
        "project_id": serializers.IntegerField(),
    },
)


class SyncedDeploymentViewSet(DeploymentViewSet):
    """Camera stations; their data sources are read, and their captures grouped, by jobs."""

    require_project = frozenset({"sync_all"})

    @extend_schema(request=None, responses=_Started)
    @action(detail=True, methods=["post"])
    def sync(self, request: Request, pk: str | None = None) -> Response:
        """Look for new captures in the data source; a job that does so already is not joined by another."""
        deployment: Deployment = self.get_object()
        try:
            job = _sync(deployment, _person(request))
        except InvalidInput as error:
            raise ValidationError(error.message) from error
        return Response({"job_id": job.pk, "project_id": deployment.project_id})

    @extend_schema(
        request=None, responses=_AllStarted, parameters=[OpenApiParameter("project_id", int, required=True)]
    )
    @action(detail=False, methods=["post"], url_path="sync-all")
    def sync_all(self, request: Request) -> Response:
        """Look for new captures of every station of a project that has a data source."""
        project = self.active_project
        project_id = project.pk if project else None
        self.require("sync", project_id)
        stations = Deployment.objects.filter(project=project, data_source__isnull=False)
        jobs = [
            _sync(deployment, _person(request))
            for deployment in stations.select_related("project", "data_source").order_by("pk")
        ]
        ids = [job.pk for job in jobs]
        return Response({"job_ids": ids, "queued": len(ids), "project_id": project_id})

    @extend_schema(request=None, responses={202: _Regrouping})
    @action(detail=True, methods=["post"], url_path="regroup-sessions")
    def regroup_sessions(self, request: Request, pk: str | None = None) -> Response:
        """Group the captures into sessions anew."""
        deployment: Deployment = self.get_object()
        job = _start(
            deployment,
            name=f"Regroup sessions of {deployment.name}"[:255],
            job_type_key="regroup_events",
            created_by=_person(request),
        )
        answer = {"job_id": job.pk, "deployment_id": deployment.pk, "project_id": deployment.project_id}
        return Response(answer, status=status.HTTP_202_ACCEPTED)


class PopulatedCaptureSetViewSet(CaptureSetViewSet):
    """Capture sets; jobs fill them."""

    @extend_schema(request=None, responses=_Started)
    @action(detail=True, methods=["post"])
    def populate(self, request: Request, pk: str | None = None) -> Response:
        """Fill the set anew with what its method and parameters say."""
        capture_set = self.get_object()
        with transaction.atomic():
            job = create_job(
                name=f"Populate {capture_set.name}"[:255],
                project=capture_set.project,
                job_type_key="populate_captures_collection",
                source_image_collection=capture_set,
                created_by=_person(request),
            )
            run_job(job)
        return Response({"job_id": job.pk, "project_id": capture_set.project_id})


def _sync(deployment: Deployment, person: User | None) -> Job:
    """The job that looks for new captures of a station: the one on its way, or a new one."""
    under_way = Job.objects.filter(deployment=deployment, job_type_key=SYNC).exclude(
        status__in=[*FINAL, "CREATED"]
    )
    return under_way.order_by("pk").first() or _start(
        deployment, name=f"Sync {deployment.name}"[:255], job_type_key=SYNC, created_by=person
    )


@transaction.atomic
def _start(deployment: Deployment, **fields: Any) -> Job:
    """Create and run a job over a station, both or neither."""
    job = create_job(project=deployment.project, deployment=deployment, **fields)
    run_job(job)
    return job


def _person(request: Request) -> User | None:
    return request.user if isinstance(request.user, User) else None

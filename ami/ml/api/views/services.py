"""Processing services: who runs pipelines for a project, and whether they are there.

Looking never makes the server call anybody: a service is asked by POST only, by people who may manage it.
"""

from __future__ import annotations

from typing import Any

from django.db import transaction
from django.db.models import Prefetch, QuerySet
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers, status
from rest_framework.decorators import action
from rest_framework.permissions import SAFE_METHODS
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import ModelViewSet

from ami.base import clock
from ami.base.api.permissions import ObjectPermission, is_active_staff
from ami.main.models import Project
from ami.ml.api.serializers.catalogue import ServiceSerializer
from ami.ml.api.serializers.registration import RegisteredSerializer, registered
from ami.ml.api.views.pipelines import CatalogueViewSet
from ami.ml.models import Pipeline, ProcessingService
from ami.ml.services import Check, check_service, register_offered

_MAY_REGISTER = "create_projectpipelineconfig"


class ServiceStatusSerializer(serializers.Serializer[Any]):
    """Whether a service was reached, and what it offers."""

    timestamp = serializers.DateTimeField()
    request_successful = serializers.BooleanField()
    pipeline_configs = serializers.ListField(child=serializers.DictField())
    error = serializers.CharField(allow_null=True)
    server_live = serializers.BooleanField(allow_null=True)
    pipelines_online = serializers.ListField(child=serializers.CharField())
    endpoint_url = serializers.CharField(allow_null=True)
    latency = serializers.FloatField()


class ServiceCreatedSerializer(serializers.Serializer[Any]):
    """A new service with what is known of its state."""

    instance = ServiceSerializer()
    status = ServiceStatusSerializer()


@extend_schema(parameters=[OpenApiParameter("project_id", int, required=True)])
class ProcessingServiceViewSet(CatalogueViewSet, ModelViewSet[ProcessingService]):
    """The services of a project. Everybody reads; managers add and ask them, the staff does everything."""

    permission_classes = [ObjectPermission]
    queryset = ProcessingService.objects.all()
    serializer_class = ServiceSerializer
    require_project = True
    project_path = "projects"
    ordering_fields = ["name", "created_at", "updated_at", "last_seen"]
    search_fields = ["name"]

    def get_queryset(self) -> QuerySet[ProcessingService]:
        """With their pipelines and the projects that the caller may see."""
        return (
            super()
            .get_queryset()
            .prefetch_related(
                Prefetch("projects", self.visible_projects().order_by("pk")),
                Prefetch("pipelines", Pipeline.objects.order_by("name", "pk")),
            )
        )

    def may(self, request: Request, obj: Any) -> bool:
        """Asking a service needs the permission to register its pipelines; changing one is for the staff."""
        if request.method in SAFE_METHODS or is_active_staff(request.user):
            return True
        asks = self.action in {"check", "register_pipelines"}
        return asks and self.access.may(_MAY_REGISTER, self._project().pk)

    def envelope_permissions(self) -> list[str]:
        """The staff may add services, and who holds the permission in the project."""
        return ["create"] if self._may_create() else []

    @extend_schema(responses={201: ServiceCreatedSerializer})
    def create(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Add a service to the project. Nobody is asked: `check` does that."""
        project = self._project()
        if not self._may_create():
            self.permission_denied(request)
        serializer = self.get_serializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        with transaction.atomic():
            service: ProcessingService = serializer.save()
            service.projects.add(project)
        return Response(
            {"instance": serializer.data, "status": status_of(service)}, status=status.HTTP_201_CREATED
        )

    @extend_schema(responses=ServiceStatusSerializer)
    @action(detail=True, methods=["get"])
    def status(self, request: Request, pk: str | None = None) -> Response:
        """What is known of the service's state; asks nobody."""
        return Response(status_of(self.get_object()))

    @extend_schema(request=None, responses=ServiceStatusSerializer)
    @action(detail=True, methods=["post"])
    def check(self, request: Request, pk: str | None = None) -> Response:
        """Ask a push service now whether it is there; of a pull service, what its calls have shown."""
        service: ProcessingService = self.get_object()
        return Response(status_of(service, None if service.is_async else check_service(service)))

    @extend_schema(request=None, responses=RegisteredSerializer)
    @action(detail=True, methods=["post"])
    def register_pipelines(self, request: Request, pk: str | None = None) -> Response:
        """Ask a push service for its pipelines and register them in the project; safe to repeat."""
        done, pipelines = register_offered(project=self._project(), service=self.get_object())
        return Response(registered(done, pipelines))

    def _project(self) -> Project:
        if self.active_project is None:  # `require_project` has raised by now
            raise AssertionError
        return self.active_project

    def _may_create(self) -> bool:
        project = self.active_project
        held = project is not None and self.access.may(self.codename("create"), project.pk)
        return held or is_active_staff(self.request.user)


def status_of(service: ProcessingService, check: Check | None = None) -> dict[str, Any]:
    """The state of a service as it was last seen, or as a check has just found it; asks nobody."""
    found = _as_seen(service) if check is None else check
    return {
        "timestamp": clock.now(),
        "request_successful": found.error is None,
        "pipeline_configs": [],
        "error": found.error,
        "server_live": found.is_live,
        "pipelines_online": found.slugs,
        "endpoint_url": service.endpoint_url or None,
        "latency": found.seconds,
    }


def _as_seen(service: ProcessingService) -> Check:
    """What the row says; of a pull service's pipelines the names, which is what clients know."""
    live = service.is_online if service.is_async else service.last_seen_live
    pipelines = service.pipelines.all() if live else []
    return Check(
        is_live=live,
        slugs=[pipeline.name if service.is_async else pipeline.slug for pipeline in pipelines],
        seconds=service.last_seen_latency or 0.0,
        error=None if service.last_seen else "The service has not been seen yet.",
    )

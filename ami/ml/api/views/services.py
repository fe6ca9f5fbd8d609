"""Processing services: who runs pipelines for a project, and whether they are there."""

from __future__ import annotations

from typing import Any

from django.db.models import Prefetch, QuerySet
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers, status
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import ModelViewSet

from ami.base import clock
from ami.ml.api.serializers.catalogue import ServiceSerializer
from ami.ml.api.views.pipelines import CatalogueViewSet
from ami.ml.models import Pipeline, ProcessingService


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
    """The services of a project. Nothing here calls a service: what is shown was seen before."""

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

    @extend_schema(responses={201: ServiceCreatedSerializer})
    def create(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Add a service to the project."""
        serializer = self.get_serializer(data=request.data)
        project = self.active_project
        serializer.is_valid(raise_exception=True)
        service: ProcessingService = serializer.save()
        if project is not None:
            service.projects.add(project)
        return Response(
            {"instance": serializer.data, "status": status_of(service)}, status=status.HTTP_201_CREATED
        )

    @extend_schema(responses=ServiceStatusSerializer)
    @action(detail=True, methods=["get"])
    def status(self, request: Request, pk: str | None = None) -> Response:
        """What is known of the service's state."""
        return Response(status_of(self.get_object()))


def status_of(service: ProcessingService) -> dict[str, Any]:
    """The state of a service as it was last seen; asks nobody."""
    live = service.is_online if service.is_async else service.last_seen_live
    return {
        "timestamp": clock.now(),
        "request_successful": service.last_seen is not None,
        "pipeline_configs": [],
        "error": None if service.last_seen else "The service has not been seen yet.",
        "server_live": live,
        "pipelines_online": [pipeline.name for pipeline in service.pipelines.all()] if live else [],
        "endpoint_url": service.endpoint_url or None,
        "latency": service.last_seen_latency or 0.0,
    }

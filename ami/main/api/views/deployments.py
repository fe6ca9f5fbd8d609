"""Camera stations, devices and sites."""

from __future__ import annotations

from typing import Any

from django.db.models import Max, Min, OuterRef, Q, QuerySet, Subquery
from rest_framework.serializers import BaseSerializer
from rest_framework.viewsets import ModelViewSet

from ami.main.api.serializers.deployment import (
    DeploymentListSerializer,
    DeploymentSerializer,
    DeviceSerializer,
    SiteSerializer,
)
from ami.main.api.viewsets import ProjectScopedViewSet
from ami.main.models import Deployment, Device, Event, Project, Site, SourceImage
from ami.main.related import count_of, recent_jobs

_captures = SourceImage.objects.filter(deployment=OuterRef("pk")).order_by().values("deployment")


class DeploymentViewSet(ProjectScopedViewSet[Deployment], ModelViewSet[Deployment]):
    """Camera stations."""

    queryset = Deployment.objects.select_related("project", "device", "research_site", "data_source")
    serializer_class = DeploymentSerializer
    ordering_fields = ["name", "created_at", "updated_at", "captures_count", "first_date", "last_date"]
    search_fields = ["name"]

    def get_serializer_class(self) -> type[BaseSerializer[Deployment]]:
        """Less in a list."""
        return DeploymentListSerializer if self.action == "list" else DeploymentSerializer

    def get_queryset(self) -> QuerySet[Deployment]:
        """Stations with what their captures say; counted by the database, not row by row."""
        return (
            super()
            .get_queryset()
            .annotate(
                captures_count=count_of(SourceImage.objects.all(), "deployment"),
                events_count=count_of(Event.objects.all(), "deployment"),
                first_date=Subquery(_captures.annotate(first=Min("timestamp")).values("first")),
                last_date=Subquery(_captures.annotate(last=Max("timestamp")).values("last")),
            )
            .prefetch_related(recent_jobs(Deployment))
        )


class _PlaceViewSet(ProjectScopedViewSet[Any], ModelViewSet[Any]):
    """What devices and sites have in common: some belong to no project and are everybody's to see."""

    ordering_fields = ["name", "created_at", "updated_at"]
    search_fields = ["name"]

    def get_queryset(self) -> QuerySet[Any]:
        """Those of the projects in question, and those of none."""
        everything = super(ProjectScopedViewSet, self).get_queryset()
        project = self.active_project
        visible = (
            Q(project=project)
            if project is not None
            else Q(project__in=Project.objects.all().visible_to(self.request.user))
        )
        return everything.filter(visible | Q(project__isnull=True))


class DeviceViewSet(_PlaceViewSet):
    """Kinds of camera stations."""

    queryset = Device.objects.order_by("name", "pk")
    serializer_class = DeviceSerializer


class SiteViewSet(_PlaceViewSet):
    """Places of research."""

    queryset = Site.objects.order_by("name", "pk")
    serializer_class = SiteSerializer

"""Workers: who they are, whether they are there, what they hold and what they did."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import structlog
from django.db.models import OuterRef, Q, QuerySet, Subquery, Sum
from django.db.models.functions import Coalesce
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.viewsets import ReadOnlyModelViewSet

from ami.jobs.models import JobContribution
from ami.main.api.viewsets import ProjectScopedViewSet
from ami.main.models import Project, ProjectMembership
from ami.ml.models import WorkerInstance
from ami.taskqueue import OpenLeases, PendingStateUnavailable
from ami.users.callers import Machine

logger = structlog.get_logger(__name__)


class WorkerSerializer(serializers.ModelSerializer[WorkerInstance]):
    """A worker: what it is, when it was heard of, what it holds and what it did."""

    service_name = serializers.CharField(source="service.name", default=None)
    online = serializers.BooleanField(source="is_online")
    holds = serializers.SerializerMethodField(help_text="Images under lease now; null while Redis is away.")
    processed = serializers.IntegerField(help_text="Images, in the projects that you may see.")
    failed = serializers.IntegerField()
    processing_seconds = serializers.SerializerMethodField(help_text="As the worker says.")

    class Meta:
        model = WorkerInstance
        fields = [
            "id",
            "name",
            "service",
            "service_name",
            "hostname",
            "software",
            "version",
            "platform",
            "created_at",
            "last_seen",
            "online",
            "holds",
            "processed",
            "failed",
            "processing_seconds",
            "rejected",
        ]

    def get_holds(self, worker: WorkerInstance) -> int | None:
        """Open leases."""
        held: Mapping[str, int] | None = self.context.get("held")
        return None if held is None else held.get(worker.lease_key, 0)

    def get_processing_seconds(self, worker: Any) -> float:
        """Over all images that it processed."""
        return float(worker.processing_ms) / 1_000


@extend_schema(parameters=[OpenApiParameter("project_id", int, required=True)])
class WorkerViewSet(ProjectScopedViewSet[Any], ReadOnlyModelViewSet[Any]):
    """The workers of a project, for its members: those of its services, and old ones by their tokens.

    A worker key sees its own service's alone: old ones carry names of people.
    """

    queryset = WorkerInstance.objects.select_related("service")
    serializer_class = WorkerSerializer
    require_project = True
    ordering_fields = ["name", "last_seen", "created_at"]
    search_fields = ["name", "hostname"]

    def get_queryset(self) -> QuerySet[Any]:
        """Of the active project, with what they did in it. Raises a 403 for who is not a member."""
        project = self.active_project
        if project is None:  # `require_project` has raised by now
            raise AssertionError
        if not self.access.may("view_private_data", project.pk):
            self.permission_denied(self.request)
        did = JobContribution.objects.filter(instance=OuterRef("pk"), job__project=project).values("instance")
        return self.queryset.filter(self._known_to_caller(project)).annotate(
            **{
                name: Coalesce(Subquery(did.annotate(total=Sum(name)).values("total")), 0)
                for name in ("processed", "failed", "processing_ms")
            }
        )

    def _known_to_caller(self, project: Project) -> Q:
        theirs = Q(service__projects=project)
        if isinstance(self.request.user, Machine):
            return theirs & Q(service=self.request.user.service_id)
        members = ProjectMembership.objects.filter(project=project).values("user")
        return theirs | Q(user__in=members) | Q(user__isnull=False, user=project.owner_id)

    def get_serializer_context(self) -> dict[str, Any]:
        """What the workers hold, from the index of open leases."""
        context = dict(super().get_serializer_context())
        instances = WorkerInstance.objects.filter(pk__in=self.get_queryset().values("pk"))
        try:
            context["held"] = OpenLeases().counts([instance.lease_key for instance in instances])
        except PendingStateUnavailable as error:
            logger.warning("workers.leases_unknown", error=error.message)
        return context

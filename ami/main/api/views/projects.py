"""Projects and their members."""

from __future__ import annotations

from typing import Any

from django.db.models import Count, Max, OuterRef, QuerySet, Subquery
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.exceptions import PermissionDenied, ValidationError
from rest_framework.request import Request
from rest_framework.serializers import BaseSerializer
from rest_framework.viewsets import ModelViewSet

from ami.base.api.fields import parse_key
from ami.main.api.serializers.project import MemberSerializer, ProjectListSerializer, ProjectSerializer
from ami.main.api.viewsets import ProjectScopedViewSet
from ami.main.models import Project, ProjectMembership, SourceImage
from ami.main.related import jobs_of
from ami.users.models import User


@extend_schema(parameters=[OpenApiParameter("user_id", int, description="Only the caller's own projects.")])
class ProjectViewSet(ProjectScopedViewSet[Project], ModelViewSet[Project]):
    """Projects. Everybody with an account may make one; its maker manages it."""

    queryset = Project.objects.select_related("owner", "default_processing_pipeline")
    serializer_class = ProjectSerializer
    project_path = "pk"
    default_limit = 40
    ordering_fields = ["name", "created_at", "updated_at", "last_capture_timestamp", "last_job_updated_at"]
    search_fields = ["name"]

    def get_serializer_class(self) -> type[BaseSerializer[Project]]:
        """Less in a list."""
        return ProjectListSerializer if self.action == "list" else ProjectSerializer

    def get_queryset(self) -> QuerySet[Project]:
        """What the caller may see; with `user_id`, what the caller belongs to."""
        queryset = super().get_queryset()
        if self.action != "list":
            return queryset.prefetch_related("deployments")
        queryset = queryset.annotate(deployments_count=Count("deployments"))
        ordering = self.request.query_params.get("ordering", "")
        if "last_capture_timestamp" in ordering:
            captures = SourceImage.objects.filter(project=OuterRef("pk"), timestamp__isnull=False)
            latest = captures.order_by("-timestamp").values("timestamp")[:1]
            queryset = queryset.annotate(last_capture_timestamp=Subquery(latest))
        if "last_job_updated_at" in ordering:
            jobs = jobs_of(Project).filter(project=OuterRef("pk")).order_by().values("project")
            latest = jobs.annotate(latest=Max("updated_at")).values("latest")
            queryset = queryset.annotate(last_job_updated_at=Subquery(latest))
        return self._of_user(queryset)

    def _of_user(self, queryset: QuerySet[Project]) -> QuerySet[Project]:
        named = self.request.query_params.get("user_id")
        if not named:
            return queryset
        key = parse_key(named)
        if key is None:
            raise ValidationError({"user_id": ["A valid integer is required."]})
        if key != self.request.user.pk:
            raise PermissionDenied("You can only view your projects")
        return queryset.filter(pk__in=self.access.projects())

    def project_id_of(self, obj: Any) -> int | None:
        """A project is its own project."""
        key: int = obj.pk
        return key

    def perform_create(self, serializer: BaseSerializer[Project]) -> None:
        """Whoever has an account may make a project, and owns it."""
        if not isinstance(self.request.user, User):
            self.permission_denied(self.request)
        serializer.save()

    def envelope_permissions(self) -> list[str]:
        """Whoever has an account may make a project."""
        return ["create"] if isinstance(self.request.user, User) else []


@extend_schema(parameters=[OpenApiParameter("project_pk", int, OpenApiParameter.PATH)])
class MemberViewSet(ProjectScopedViewSet[ProjectMembership], ModelViewSet[ProjectMembership]):
    """The members of a project: its members see each other, its managers change them."""

    queryset = ProjectMembership.objects.select_related("user").order_by("pk")
    serializer_class = MemberSerializer
    noun = "userprojectmembership"
    require_project = True

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Reading needs a role, too; and only who may add members hears which accounts exist."""
        super().initial(request, *args, **kwargs)
        project = self.active_project
        self.require("create" if self.action == "create" else "view", project.pk if project else None)

    def perform_create(self, serializer: BaseSerializer[ProjectMembership]) -> None:
        """Give a person a role in this project."""
        serializer.save(project=self.active_project)

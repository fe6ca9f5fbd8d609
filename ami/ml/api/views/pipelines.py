"""Pipelines, the algorithms in them, and the registration by workers."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import status
from rest_framework.mixins import ListModelMixin
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import BaseSerializer
from rest_framework.viewsets import ModelViewSet, ReadOnlyModelViewSet

from ami.base.api.permissions import IsActiveStaffOrReadOnly, is_active_staff
from ami.main.api.viewsets import ProjectScopedViewSet
from ami.main.models import Project
from ami.ml.api.catalogue import for_display, visible_pipelines, with_category_count
from ami.ml.api.serializers.catalogue import AlgorithmSerializer, CategoryMapSerializer, PipelineSerializer
from ami.ml.api.serializers.registration import RegisteredSerializer, RegistrationSerializer, registered
from ami.ml.models import Algorithm, AlgorithmCategoryMap, Pipeline
from ami.ml.registration import register_by_name, register_for_machine
from ami.ml.schemas import PipelineConfigResponse
from ami.users.callers import Machine
from ami.users.models import User

_PROJECT = OpenApiParameter("project_id", int, description="Only what this project uses.")


class CatalogueViewSet(ProjectScopedViewSet[Any]):
    """The base for what belongs to no project alone: everybody reads, the staff writes."""

    permission_classes = [IsActiveStaffOrReadOnly]

    def visible_projects(self) -> QuerySet[Project]:
        """The projects that the caller may see."""
        return Project.objects.all().visible_to(self.request.user)

    def perform_create(self, serializer: BaseSerializer[Any]) -> None:
        """The staff was asked for at the door."""
        serializer.save()

    def envelope_permissions(self) -> list[str]:
        """The staff may add to the catalogue."""
        return ["create"] if is_active_staff(self.request.user) else []


@extend_schema(parameters=[_PROJECT])
class PipelineViewSet(CatalogueViewSet, ModelViewSet[Pipeline]):
    """Pipelines; with a project only those that are enabled in it."""

    queryset = Pipeline.objects.all()
    serializer_class = PipelineSerializer
    ordering_fields = ["name", "slug", "created_at", "updated_at"]
    search_fields = ["name", "slug"]

    def get_queryset(self) -> QuerySet[Pipeline]:
        """What the caller may see; the staff sees all."""
        visible, active = self.visible_projects(), self.active_project
        if active is None and is_active_staff(self.request.user):
            pipelines: QuerySet[Pipeline] = Pipeline.objects.all()
        else:
            pipelines = visible_pipelines(visible, active)
        return for_display(pipelines, visible, active)


@extend_schema(parameters=[OpenApiParameter("project_pk", int, OpenApiParameter.PATH)])
class ProjectPipelineViewSet(ListModelMixin, ProjectScopedViewSet[Pipeline]):
    """The pipelines of one project, and the address where workers announce theirs."""

    queryset = Pipeline.objects.all()
    serializer_class = PipelineSerializer
    noun = "projectpipelineconfig"
    require_project = True
    ordering_fields = ["name", "slug", "created_at", "updated_at"]

    def get_queryset(self) -> QuerySet[Pipeline]:
        """Enabled ones, with the services of this project."""
        visible = Project.objects.all().visible_to(self.request.user)
        return for_display(visible_pipelines(visible, self.active_project), visible, self.active_project)

    @extend_schema(request=RegistrationSerializer, responses={201: RegisteredSerializer})
    def create(self, request: Request, **_: Any) -> Response:
        """Register pipelines. Repeating it changes nothing."""
        project = self.active_project
        if project is None:  # `require_project` has raised by now
            raise AssertionError
        self.require("create", project.pk)
        body = RegistrationSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        pipelines: list[PipelineConfigResponse] = body.validated_data["pipelines"]
        user = request.user
        if isinstance(
            user, Machine
        ):  # its key says which service it is; the name in the body is its own affair
            done = register_for_machine(project=project, machine=user, pipelines=pipelines)
        else:
            done = register_by_name(
                project=project,
                service_name=body.validated_data["processing_service_name"],
                pipelines=pipelines,
                account=user if isinstance(user, User) else None,
            )
        return Response(registered(done, pipelines), status=status.HTTP_201_CREATED)


@extend_schema(parameters=[_PROJECT])
class AlgorithmViewSet(CatalogueViewSet, ReadOnlyModelViewSet[Algorithm]):
    """Algorithms; with a project only those of its enabled pipelines."""

    queryset = Algorithm.objects.all()
    serializer_class = AlgorithmSerializer
    filterset_fields = ["name", "version"]
    ordering_fields = ["name", "key", "version", "task_type", "created_at", "updated_at"]
    search_fields = ["name"]

    def get_queryset(self) -> QuerySet[Algorithm]:
        """All, or those that the project uses; one's own page needs no project."""
        algorithms = with_category_count(Algorithm.objects.all())
        if self.action == "list" and self.active_project is not None:
            pipelines = visible_pipelines(self.visible_projects(), self.active_project)
            return algorithms.filter(pk__in=Algorithm.objects.filter(pipelines__in=pipelines).values("pk"))
        return algorithms


class CategoryMapViewSet(CatalogueViewSet, ReadOnlyModelViewSet[AlgorithmCategoryMap]):
    """Category maps."""

    queryset = AlgorithmCategoryMap.objects.prefetch_related("algorithms").order_by("pk")
    serializer_class = CategoryMapSerializer
    ordering_fields = ["created_at", "updated_at"]

    def get_queryset(self) -> QuerySet[AlgorithmCategoryMap]:
        """All of them: they belong to nobody."""
        return super(ProjectScopedViewSet, self).get_queryset()

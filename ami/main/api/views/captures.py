"""Captures: single images from camera stations."""

from __future__ import annotations

from django.db.models import QuerySet
from drf_spectacular.utils import OpenApiParameter, extend_schema, inline_serializer
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import BaseSerializer
from rest_framework.viewsets import ModelViewSet

from ami.base.api.filters import flag
from ami.main.api.filters import CaptureFilter
from ami.main.api.serializers.capture import CaptureDetailSerializer, CaptureSerializer
from ami.main.api.viewsets import ProjectScopedViewSet
from ami.main.models import SourceImage
from ami.main.related import detections_count, last_processed, real_detections, recent_jobs
from ami.main.stars import star, unstar

_Starred = inline_serializer(
    "CaptureStarred",
    {"collection": serializers.IntegerField(), "total_images": serializers.IntegerField()},
)


@extend_schema(
    parameters=[
        OpenApiParameter("project_id", int, description="Required for lists."),
        OpenApiParameter("with_detections", bool, description="Also give the boxes of each capture."),
    ]
)
class CaptureViewSet(ProjectScopedViewSet[SourceImage], ModelViewSet[SourceImage]):
    """Captures."""

    queryset = SourceImage.objects.select_related(
        "deployment", "project", "upload", "data_source", "event__deployment"
    )
    serializer_class = CaptureDetailSerializer
    require_project = frozenset({"list"})
    filterset_class = CaptureFilter
    ordering_fields = [
        "created_at",
        "updated_at",
        "timestamp",
        "size",
        "width",
        "height",
        "detections_count",
        "deployment__name",
        "event__start",
        "path",
        "last_processed",
    ]
    ordering = ("-timestamp",)
    verbs = {"unstar": "star"}

    def get_serializer_class(self) -> type[BaseSerializer[SourceImage]]:
        """Less in a list."""
        return CaptureSerializer if self.action == "list" else CaptureDetailSerializer

    def get_queryset(self) -> QuerySet[SourceImage]:
        """Captures with their counts; boxes where they are asked for."""
        queryset = (
            super()
            .get_queryset()
            .annotate(detections_count=detections_count(), last_processed=last_processed())
        )
        if self.action != "list":
            return queryset.prefetch_related(real_detections(), recent_jobs(SourceImage))
        return queryset.prefetch_related(real_detections()) if self._with_detections else queryset

    @extend_schema(request=None, responses=_Starred)
    @action(detail=True, methods=["post"])
    def star(self, request: Request, pk: str | None = None) -> Response:
        """Put a capture among the starred ones of its project."""
        collection, total = star(self.get_object())
        return Response({"collection": collection, "total_images": total})

    @extend_schema(request=None, responses=_Starred)
    @action(detail=True, methods=["post"])
    def unstar(self, request: Request, pk: str | None = None) -> Response:
        """Take a capture from the starred ones of its project."""
        collection, total = unstar(self.get_object())
        return Response({"collection": collection, "total_images": total})

    @property
    def _with_detections(self) -> bool:
        return flag(self.request, "with_detections")

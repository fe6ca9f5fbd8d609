"""Capture sets: what jobs work on."""

from __future__ import annotations

from typing import Any

from django.db.models import Q, QuerySet
from django.http import Http404
from drf_spectacular.utils import OpenApiParameter, extend_schema, inline_serializer
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import ModelViewSet

from ami.base.api.fields import parse_key
from ami.base.api.filters import flag
from ami.main.api.serializers.capture_set import CaptureSetSerializer
from ami.main.api.viewsets import ProjectScopedViewSet
from ami.main.capture_sets import add_capture, remove_capture
from ami.main.models import SourceImage, SourceImageCollection
from ami.main.related import count_of, has_detections, is_processed, recent_jobs

_Change = inline_serializer("CaptureSetChange", {"source_image": serializers.IntegerField()})
_Changed = inline_serializer(
    "CaptureSetChanged",
    {"collection": serializers.IntegerField(), "total_images": serializers.IntegerField()},
)


@extend_schema(
    parameters=[
        OpenApiParameter("project_id", int),
        OpenApiParameter("with_counts", bool, description="Also count what was processed."),
    ]
)
class CaptureSetViewSet(ProjectScopedViewSet[SourceImageCollection], ModelViewSet[SourceImageCollection]):
    """Capture sets. Filling a set by its method is a job (`populate`)."""

    queryset = SourceImageCollection.objects.select_related("project")
    serializer_class = CaptureSetSerializer
    ordering_fields = ["name", "method", "created_at", "updated_at", "source_images_count"]
    search_fields = ["name"]
    verbs = {"add": "update", "remove": "update"}

    def get_queryset(self) -> QuerySet[SourceImageCollection]:
        """Sets with their sizes, counted by the database, not row by row."""
        queryset = super().get_queryset().annotate(source_images_count=_images())
        if flag(self.request, "with_counts"):
            queryset = queryset.annotate(
                source_images_with_detections_count=_images(has_detections()),
                source_images_processed_count=_images(is_processed()),
            )
        return queryset.prefetch_related(recent_jobs(SourceImageCollection))

    @extend_schema(request=_Change, responses=_Changed)
    @action(detail=True, methods=["post"])
    def add(self, request: Request, pk: str | None = None) -> Response:
        """Put one capture of the project into the set."""
        capture_set = self.get_object()
        total = add_capture(capture_set, self._capture(request, capture_set))
        return Response({"collection": capture_set.pk, "total_images": total})

    @extend_schema(request=_Change, responses=_Changed)
    @action(detail=True, methods=["post"])
    def remove(self, request: Request, pk: str | None = None) -> Response:
        """Take one capture out of the set."""
        capture_set = self.get_object()
        total = remove_capture(capture_set, self._capture(request, capture_set))
        return Response({"collection": capture_set.pk, "total_images": total})

    def _capture(self, request: Request, capture_set: SourceImageCollection) -> SourceImage:
        """The capture that body or query name, if it is in the set's project."""
        body = request.data if isinstance(request.data, dict) else {}
        named = body.get("source_image") or request.query_params.get("source_image")
        if not named:
            raise ValidationError({"source_image": ["This field is required."]})
        key = parse_key(named) or 0
        capture = SourceImage.objects.filter(project_id=capture_set.project_id, pk=key).first()
        if capture is None:
            raise Http404
        return capture


def _images(condition: Any = None) -> Any:
    """How many captures a set has, of those that meet the condition."""
    captures = SourceImage.objects.filter(condition if condition is not None else Q())
    return count_of(captures, "capture_sets")

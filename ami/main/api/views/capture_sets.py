"""Capture sets: what jobs work on."""

from __future__ import annotations

from django.db.models import QuerySet
from django.http import Http404
from drf_spectacular.utils import OpenApiParameter, extend_schema, inline_serializer
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import BaseSerializer
from rest_framework.viewsets import ModelViewSet

from ami.base.api.fields import parse_key
from ami.base.api.filters import flag
from ami.main.api.serializers.capture_set import CaptureSetSerializer
from ami.main.api.viewsets import ProjectScopedViewSet
from ami.main.capture_sets import add_capture, remove_capture, size_of_set
from ami.main.models import SourceImage, SourceImageCollection
from ami.main.related import has_detections, is_processed, recent_jobs

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
    """Capture sets: `full` ones hold every capture of the project, `manual` ones those that were chosen."""

    queryset = SourceImageCollection.objects.select_related("project")
    serializer_class = CaptureSetSerializer
    ordering_fields = ["name", "method", "created_at", "updated_at", "source_images_count"]
    search_fields = ["name"]
    verbs = {"add": "update", "remove": "update"}

    def get_queryset(self) -> QuerySet[SourceImageCollection]:
        """Sets with their sizes, counted by the database, not row by row."""
        return self._counted(super().get_queryset())

    def perform_create(self, serializer: BaseSerializer[SourceImageCollection]) -> None:
        """Answer with the sizes that the new set has."""
        super().perform_create(serializer)
        self._read_again(serializer)

    def perform_update(self, serializer: BaseSerializer[SourceImageCollection]) -> None:
        """Answer with the sizes that the changed set has."""
        super().perform_update(serializer)
        self._read_again(serializer)

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

    def _counted(self, sets: QuerySet[SourceImageCollection]) -> QuerySet[SourceImageCollection]:
        sets = sets.annotate(source_images_count=size_of_set())
        if flag(self.request, "with_counts"):
            sets = sets.annotate(
                source_images_with_detections_count=size_of_set(has_detections()),
                source_images_processed_count=size_of_set(is_processed()),
            )
        return sets.prefetch_related(recent_jobs(SourceImageCollection))

    def _read_again(self, serializer: BaseSerializer[SourceImageCollection]) -> None:
        stored = serializer.instance
        if isinstance(stored, SourceImageCollection):
            sets = SourceImageCollection.objects.select_related("project")
            serializer.instance = self._counted(sets).get(pk=stored.pk)

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

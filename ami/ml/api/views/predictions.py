"""What pipelines found. Read only: predictions come from workers."""

from __future__ import annotations

from django.db.models import Prefetch, QuerySet
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.serializers import BaseSerializer
from rest_framework.viewsets import ReadOnlyModelViewSet

from ami.main.api.viewsets import ProjectScopedViewSet
from ami.ml.api.catalogue import with_category_count
from ami.ml.api.filters import ClassificationFilter, DetectionFilter
from ami.ml.api.serializers.predictions import (
    ClassificationListSerializer,
    ClassificationSerializer,
    DetectionListSerializer,
    DetectionSerializer,
)
from ami.ml.models import Algorithm, Classification, Detection

_PROJECT = OpenApiParameter("project_id", int, description="Required for lists.")
_VECTORS = ("scores_packed", "logits_packed")


@extend_schema(parameters=[_PROJECT])
class DetectionViewSet(ProjectScopedViewSet[Detection], ReadOnlyModelViewSet[Detection]):
    """Boxes. Markers for "nothing found" are not shown."""

    queryset = Detection.objects.filter(x1__isnull=False).select_related("source_image").order_by("pk")
    serializer_class = DetectionSerializer
    project_path = "source_image__project"
    require_project = frozenset({"list"})
    filterset_class = DetectionFilter
    ordering_fields = ["created_at", "updated_at", "timestamp"]

    def get_serializer_class(self) -> type[BaseSerializer[Detection]]:
        """Less in a list."""
        return DetectionListSerializer if self.action == "list" else DetectionSerializer

    def get_queryset(self) -> QuerySet[Detection]:
        """On its own page a box comes with its names."""
        detections = super().get_queryset()
        if self.action == "list":
            return detections
        algorithms = with_category_count(Algorithm.objects.all())
        names = Classification.objects.select_related("taxon").defer(*_VECTORS).order_by("-score", "pk")
        return detections.prefetch_related(
            Prefetch("detection_algorithm", algorithms),
            Prefetch("classifications", names.prefetch_related(Prefetch("algorithm", algorithms))),
        )


@extend_schema(parameters=[_PROJECT])
class ClassificationViewSet(ProjectScopedViewSet[Classification], ReadOnlyModelViewSet[Classification]):
    """Names of boxes."""

    queryset = Classification.objects.select_related("detection__source_image").order_by("pk")
    serializer_class = ClassificationSerializer
    project_path = "detection__source_image__project"
    require_project = frozenset({"list"})
    filterset_class = ClassificationFilter
    ordering_fields = ["created_at", "updated_at", "score"]

    def get_serializer_class(self) -> type[BaseSerializer[Classification]]:
        """Less in a list."""
        return ClassificationListSerializer if self.action == "list" else ClassificationSerializer

    def get_queryset(self) -> QuerySet[Classification]:
        """Lists go without the vectors, which are most of a row."""
        names = super().get_queryset()
        if self.action == "list":
            return names.defer(*_VECTORS)
        return names.select_related("taxon", "category_map", "algorithm__category_map")

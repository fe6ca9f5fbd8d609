"""Filters of predictions."""

from __future__ import annotations

from typing import Any

import django_filters
from django.db.models import QuerySet

from ami.main.api.filters import visible_capture_sets, visible_projects
from ami.main.capture_sets import in_set
from ami.main.models import SourceImageCollection, Taxon
from ami.ml.models import Algorithm, Classification, Detection


class DetectionFilter(django_filters.FilterSet):
    """Detections by capture and algorithm."""

    source_image = django_filters.NumberFilter(field_name="source_image_id")
    source_image__project = django_filters.ModelChoiceFilter(queryset=visible_projects)
    detection_algorithm = django_filters.ModelChoiceFilter(queryset=Algorithm.objects.all())

    class Meta:
        model = Detection
        fields: list[str] = []


class ClassificationFilter(django_filters.FilterSet):
    """Classifications by name, algorithm, detection and set."""

    taxon = django_filters.ModelChoiceFilter(queryset=Taxon.objects.all())
    algorithm = django_filters.ModelChoiceFilter(queryset=Algorithm.objects.all())
    detection = django_filters.NumberFilter(field_name="detection_id")
    detection__source_image__project = django_filters.ModelChoiceFilter(queryset=visible_projects)
    detection__source_image__collections = django_filters.ModelChoiceFilter(
        method="filter_collections",
        queryset=visible_capture_sets,
        label="Capture set",
    )

    class Meta:
        model = Classification
        fields: list[str] = []

    def filter_collections(
        self, queryset: QuerySet[Any], _name: str, value: SourceImageCollection
    ) -> QuerySet[Any]:
        """Whether its capture is in a set."""
        return queryset.filter(in_set(value, "detection__source_image__"))

"""Models, services and predictions in the admin."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import F, Func, IntegerField, QuerySet
from django.http import HttpRequest

from ami.base.admin import ModelAdmin, TabularInline, chosen
from ami.ml.models import (
    Algorithm,
    AlgorithmCategoryMap,
    Classification,
    Detection,
    Pipeline,
    ProjectPipelineConfig,
)


@admin.register(AlgorithmCategoryMap)
class AlgorithmCategoryMapAdmin(ModelAdmin):
    """Category maps. They can be megabytes: lists show their size, and nobody edits them by hand."""

    list_display = ("id", "labels_count", "version", "uri", "created_at")
    list_filter = ("created_at",)
    search_fields = ("version", "uri", "labels_hash")
    fields = ("labels_count", "first_labels", "labels_hash", "version", "description", "uri")
    readonly_fields = ("labels_count", "first_labels", "labels_hash")

    def get_queryset(self, request: HttpRequest) -> QuerySet[AlgorithmCategoryMap]:
        """Without labels and data, but with their number."""
        count = Func(F("labels"), function="jsonb_array_length", output_field=IntegerField())
        maps: QuerySet[AlgorithmCategoryMap] = super().get_queryset(request)
        return maps.defer("labels", "data").annotate(count=count)

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Workers announce them."""
        return False

    @admin.display(description="labels", ordering="count")
    def labels_count(self, category_map: Any) -> int:
        """How many labels it has."""
        return int(category_map.count)

    @admin.display(description="first labels")
    def first_labels(self, category_map: AlgorithmCategoryMap) -> str:
        """What kind of map it is."""
        return ", ".join(map(str, category_map.labels[:20]))


@admin.register(Algorithm)
class AlgorithmAdmin(ModelAdmin):
    """Algorithms."""

    list_display = ("name", "key", "version", "version_name", "task_type", "created_at")
    list_filter = ("task_type", "created_at")
    search_fields = ("name", "key", "version_name")
    raw_id_fields = ("category_map",)


class ConfigInline(TabularInline):
    """Which projects use the pipeline, on its page."""

    model = ProjectPipelineConfig
    autocomplete_fields = ("project",)
    extra = 0


@admin.register(Pipeline)
class PipelineAdmin(ModelAdmin):
    """Pipelines."""

    list_display = ("name", "slug", "version", "version_name", "created_at")
    list_filter = ("algorithms__task_type", "created_at")
    search_fields = ("name", "slug")
    autocomplete_fields = ("algorithms",)
    inlines = (ConfigInline,)


@admin.register(ProjectPipelineConfig)
class ProjectPipelineConfigAdmin(ModelAdmin):
    """Which project uses which pipeline."""

    list_display = ("project", "pipeline", "enabled", "created_at")
    list_filter = ("enabled", chosen("project"), chosen("pipeline"))
    search_fields = ("project__name", "pipeline__name", "pipeline__slug")
    list_select_related = ("project", "pipeline")
    autocomplete_fields = ("project", "pipeline")


class PredictionsAdmin(ModelAdmin):
    """The base for what workers write and people look at. There can be many millions of rows."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Predictions come from workers."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Predictions are not edited."""
        return False


@admin.register(Detection)
class DetectionAdmin(PredictionsAdmin):
    """Boxes and markers."""

    list_display = ("id", "source_image_id", "detection_algorithm", "bbox", "timestamp", "job_id")
    list_filter = (chosen("detection_algorithm"),)
    list_select_related = ("detection_algorithm",)
    ordering = ("-pk",)
    sortable_by = ()
    search_fields = ("=source_image__id", "=job_id")
    search_help_text = "Id of a capture or a job."


@admin.register(Classification)
class ClassificationAdmin(PredictionsAdmin):
    """Names of boxes."""

    list_display = ("id", "detection_id", "taxon", "score", "terminal", "algorithm", "timestamp")
    list_filter = ("terminal", chosen("algorithm"), chosen("taxon"))
    ordering = ("-pk",)
    sortable_by = ()
    list_select_related = ("taxon", "algorithm")
    search_fields = ("=detection__id", "taxon__name")
    search_help_text = "Id of a detection, or part of a name."
    exclude = ("scores_packed", "logits_packed")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Classification]:
        """Without the vectors, which are most of a row."""
        names: QuerySet[Classification] = super().get_queryset(request)
        return names.defer("scores_packed", "logits_packed")

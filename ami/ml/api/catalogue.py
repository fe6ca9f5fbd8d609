"""Pipelines and services as a caller may see them: other tenants' services and projects stay hidden."""

from __future__ import annotations

from typing import Any

from django.db.models import Exists, F, Func, IntegerField, OuterRef, Prefetch, Q, QuerySet

from ami.main.models import Project
from ami.ml.models import Algorithm, Pipeline, ProcessingService, ProjectPipelineConfig


def with_category_count(algorithms: QuerySet[Algorithm]) -> QuerySet[Any]:
    """Count the labels in the database: a category map can be megabytes."""
    labels = Func(F("category_map__labels"), function="jsonb_array_length", output_field=IntegerField())
    return algorithms.annotate(category_count=labels)


def enabled_in(project: Project) -> Exists:
    """Whether a pipeline is enabled in a project."""
    return Exists(
        ProjectPipelineConfig.objects.filter(pipeline=OuterRef("pk"), project=project, enabled=True)
    )


def visible_pipelines(visible: QuerySet[Project], active: Project | None) -> QuerySet[Pipeline]:
    """The pipelines of the active project, or of all visible projects and of none."""
    if active is not None:
        return Pipeline.objects.filter(enabled_in(active))
    anywhere = ProjectPipelineConfig.objects.filter(pipeline=OuterRef("pk"))
    return Pipeline.objects.filter(Q(Exists(anywhere.filter(project__in=visible))) | Q(~Exists(anywhere)))


def for_display(
    pipelines: QuerySet[Pipeline], visible: QuerySet[Project], active: Project | None
) -> QuerySet[Pipeline]:
    """Read what a pipeline shows, three queries for a whole page."""
    shown = Q(projects=active) if active is not None else Q(projects__in=visible)
    services = ProcessingService.objects.filter(shown).distinct()
    configs = ProjectPipelineConfig.objects.filter(
        Q(project=active) if active is not None else Q(project__in=visible)
    )
    return pipelines.prefetch_related(
        Prefetch("algorithms", with_category_count(Algorithm.objects.all())),
        Prefetch("processing_services", services),
        Prefetch("project_pipeline_configs", configs.order_by("pk")),
    )

"""Pipelines: a detector and the classifiers behind it, under one name."""

from __future__ import annotations

from typing import Any, ClassVar

from django.db import models

from ami.base.deletion import AnnouncedModel
from ami.base.models import TimestampedModel
from ami.main.models import Project
from ami.ml.models.algorithm import Algorithm


class Pipeline(AnnouncedModel, TimestampedModel):
    """What a job runs. Known to the world by its slug."""

    name = models.CharField(max_length=255)
    slug = models.SlugField(max_length=255, unique=True)
    description = models.TextField(blank=True)
    version = models.IntegerField(default=1)
    version_name = models.CharField(max_length=255, blank=True)
    default_config = models.JSONField(default=dict, blank=True)
    algorithms: models.ManyToManyField[Algorithm, Any] = models.ManyToManyField(
        Algorithm, related_name="pipelines", blank=True
    )
    projects: models.ManyToManyField[Project, ProjectPipelineConfig] = models.ManyToManyField(
        Project, through="ml.ProjectPipelineConfig", related_name="pipelines"
    )

    class Meta:
        ordering: ClassVar[list[str]] = ["name"]

    def __str__(self) -> str:
        return self.name


class ProjectPipelineConfig(TimestampedModel):
    """That a project may use a pipeline, and with which settings."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="pipeline_configs")
    pipeline = models.ForeignKey(Pipeline, on_delete=models.CASCADE, related_name="project_pipeline_configs")
    enabled = models.BooleanField(default=True)
    config = models.JSONField(default=dict, blank=True)

    class Meta:
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["project", "pipeline"], name="pipeline_once_per_project"),
        ]

    def __str__(self) -> str:
        return f"{self.pipeline} in {self.project}"

"""Capture sets: the captures that a job works on (`SourceImageCollection` on the wire)."""

from __future__ import annotations

from typing import Any, ClassVar

from django.db import models

from ami.base.models import TimestampedModel
from ami.main.models.capture import SourceImage
from ami.main.models.project import Project


class CaptureSetMethod(models.TextChoices):
    """How a set is filled."""

    FULL = "full", "All captures of the project"
    MANUAL = "manual", "Chosen by hand"


class SourceImageCollection(TimestampedModel):
    """A named set of captures of one project."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="capture_sets")
    name = models.CharField(max_length=255)
    description = models.TextField(blank=True)
    method = models.CharField(max_length=64, choices=CaptureSetMethod.choices, default=CaptureSetMethod.FULL)
    kwargs = models.JSONField(default=dict, blank=True, help_text="Parameters of the method.")
    images: models.ManyToManyField[SourceImage, Any] = models.ManyToManyField(
        SourceImage,
        related_name="capture_sets",
        blank=True,
        help_text="The members of a manual set; ask `ami.main.capture_sets` what a set holds.",
    )

    class Meta:
        ordering: ClassVar[list[str]] = ["-created_at"]

    def __str__(self) -> str:
        return self.name

    @property
    def holds_whole_project(self) -> bool:
        """Whether it holds every capture of its project, without a row for each."""
        return self.method == CaptureSetMethod.FULL and not self.kwargs

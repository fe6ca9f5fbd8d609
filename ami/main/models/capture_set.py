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
    RANDOM = "random", "Random"
    STRATIFIED_RANDOM = "stratified_random", "Random, the same from each session"
    INTERVAL = "interval", "One in each stretch of time"
    MANUAL = "manual", "Chosen by hand"
    STARRED = "starred", "Starred"
    RANDOM_FROM_EACH_EVENT = "random_from_each_event", "Random from each session"
    LAST_AND_RANDOM_FROM_EACH_EVENT = "last_and_random_from_each_event", "Last and random from each session"
    GREATEST_FILE_SIZE_FROM_EACH_EVENT = (
        "greatest_file_size_from_each_event",
        "Largest files from each session",
    )
    DETECTIONS_ONLY = "detections_only", "Those with detections"
    COMMON_COMBINED = "common_combined", "Common parameters combined (deprecated)"
    POSITIONAL = "positional", "At a position in each session"
    NTH = "nth", "Every n-th of each station"


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
        help_text="The members, unless the set holds the whole project; ask `ami.main.capture_sets`.",
    )

    class Meta:
        ordering: ClassVar[list[str]] = ["-created_at"]

    def __str__(self) -> str:
        return self.name

    @property
    def holds_whole_project(self) -> bool:
        """Whether it holds every capture of its project, without a row for each."""
        return self.method == CaptureSetMethod.FULL and not self.kwargs

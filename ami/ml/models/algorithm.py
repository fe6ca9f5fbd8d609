"""Algorithms: the models that find and name insects."""

from __future__ import annotations

from typing import ClassVar

from django.db import models

from ami.base.models import TimestampedModel


class AlgorithmCategoryMap(TimestampedModel):
    """What the positions of a classifier's score vector mean."""

    labels = models.JSONField(default=list, help_text="Label of each position.")
    data = models.JSONField(default=list, help_text="One object per position: index, label, taxon_rank, …")
    labels_hash = models.CharField(max_length=64, blank=True, db_index=True)
    version = models.CharField(max_length=255, blank=True)
    description = models.TextField(blank=True)
    uri = models.CharField(max_length=1024, blank=True)

    def __str__(self) -> str:
        return f"category map {self.pk} {self.version}".strip()


class Algorithm(TimestampedModel):
    """One version of one model. `key` names it on the wire; a new version is a new row."""

    DETECTION_TYPES: ClassVar[frozenset[str]] = frozenset({"detection", "localization", "segmentation"})
    CLASSIFICATION_TYPES: ClassVar[frozenset[str]] = frozenset({"classification", "tagging"})

    name = models.CharField(max_length=255)
    key = models.SlugField(max_length=255)
    version = models.IntegerField(default=1)
    version_name = models.CharField(max_length=255, blank=True)
    description = models.TextField(blank=True)
    uri = models.CharField(max_length=1024, blank=True)
    task_type = models.CharField(max_length=64, default="unknown")
    category_map = models.ForeignKey(
        AlgorithmCategoryMap, on_delete=models.PROTECT, null=True, blank=True, related_name="algorithms"
    )

    class Meta:
        ordering: ClassVar[list[str]] = ["name", "version"]
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["key", "version"], name="algorithm_once_per_version"),
        ]

    def __str__(self) -> str:
        return f"{self.name} v{self.version}"

    @property
    def detects(self) -> bool:
        """Whether it finds boxes."""
        return self.task_type in self.DETECTION_TYPES

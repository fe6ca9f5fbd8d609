"""What pipelines found: detections (boxes) and classifications (names for boxes)."""

from __future__ import annotations

import struct
from typing import ClassVar

from django.db import models
from django.db.models import Q

from ami.base.models import TimestampedModel
from ami.main.models import SourceImage, Taxon
from ami.ml.models.algorithm import Algorithm, AlgorithmCategoryMap


class DetectionQuerySet(models.QuerySet["Detection"]):
    """Real boxes and null markers live in one table."""

    def real(self) -> DetectionQuerySet:
        """Without null markers."""
        return self.filter(x1__isnull=False)


class Detection(TimestampedModel):
    """A box on a capture, or, without a box, the marker "this algorithm looked and found nothing"."""

    # The unique constraints begin with this column, so it needs no index of its own.
    source_image = models.ForeignKey(
        SourceImage, on_delete=models.CASCADE, related_name="detections", db_index=False
    )
    detection_algorithm = models.ForeignKey(Algorithm, on_delete=models.PROTECT, related_name="detections")
    x1 = models.FloatField(null=True, help_text="Pixels from the left.")
    y1 = models.FloatField(null=True, help_text="Pixels from the top.")
    x2 = models.FloatField(null=True)
    y2 = models.FloatField(null=True)
    timestamp = models.DateTimeField(null=True, help_text="When the capture was taken.")
    detection_time = models.DateTimeField(null=True, help_text="When the algorithm ran.")
    path = models.CharField(
        max_length=1024, blank=True, help_text="Picture of the crop, if the worker made one."
    )
    job_id = models.BigIntegerField(null=True, help_text="The job that found it first.")

    objects: ClassVar[models.Manager[Detection]] = models.Manager.from_queryset(DetectionQuerySet)()

    class Meta:
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(
                fields=["source_image", "detection_algorithm", "x1", "y1", "x2", "y2"], name="detection_once"
            ),
            models.UniqueConstraint(
                fields=["source_image", "detection_algorithm"],
                condition=Q(x1__isnull=True),
                name="detection_null_marker_once",
            ),
            models.CheckConstraint(
                name="detection_box_whole_or_absent",
                condition=Q(x1__isnull=True, y1__isnull=True, x2__isnull=True, y2__isnull=True)
                | Q(x1__isnull=False, y1__isnull=False, x2__isnull=False, y2__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return f"detection {self.pk} on capture {self.source_image_id}"

    @property
    def bbox(self) -> list[float] | None:
        """The box as `[x1, y1, x2, y2]` in pixels, or None for a null marker."""
        if self.x1 is None or self.y1 is None or self.x2 is None or self.y2 is None:
            return None
        return [self.x1, self.y1, self.x2, self.y2]


class Classification(TimestampedModel):
    """A name for a detection, with the scores behind it.

    `scores` and `logits` are little-endian 32-bit floats in the order of the category map: a tenth of the
    size of JSON and ten times as fast to write (docs/adr/0006).
    """

    detection = models.ForeignKey(
        Detection, on_delete=models.CASCADE, related_name="classifications", db_index=False
    )
    algorithm = models.ForeignKey(Algorithm, on_delete=models.PROTECT, related_name="classifications")
    taxon = models.ForeignKey(Taxon, on_delete=models.PROTECT, related_name="classifications")
    category_map = models.ForeignKey(
        AlgorithmCategoryMap, on_delete=models.PROTECT, null=True, related_name="+", db_index=False
    )
    score = models.FloatField()
    terminal = models.BooleanField(default=True)
    timestamp = models.DateTimeField(null=True)
    scores_packed = models.BinaryField(default=b"")
    logits_packed = models.BinaryField(default=b"")

    class Meta:
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["detection", "algorithm", "taxon"], name="classification_once"),
        ]

    def __str__(self) -> str:
        return f"{self.taxon_id} ({self.score:.2f})"

    @property
    def scores(self) -> list[float]:
        """The full score vector, one per label of the category map; empty when it was not given."""
        return _unpack(self.scores_packed)

    @property
    def logits(self) -> list[float]:
        """The full logit vector, one per label of the category map; empty when it was not given."""
        return _unpack(self.logits_packed)


def _unpack(packed: bytes | memoryview) -> list[float]:
    data = bytes(packed)
    return list(struct.unpack(f"<{len(data) // 4}f", data))

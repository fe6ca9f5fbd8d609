"""What was found on many captures at once, in few statements, however many they are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from django.db.models import Count

from ami.main.models import Taxon
from ami.main.related import REAL
from ami.ml.models import Detection

_SUGGESTIONS = 200


@dataclass(frozen=True)
class Finding:
    """Whether an algorithm looked at a capture, and how many boxes there are."""

    processed: bool = False
    detections: int = 0

    def __str__(self) -> str:
        if not self.processed:
            return "not processed yet"
        if not self.detections:
            return "nothing found"
        return f"{self.detections:,} detection{'' if self.detections == 1 else 's'}"


def findings_on(ids: Sequence[int]) -> dict[int, Finding]:
    """What was found on each of these captures; those that nobody looked at are left out."""
    rows = Detection.objects.filter(source_image_id__in=ids).order_by().values("source_image_id")
    counted = rows.annotate(boxes=Count("pk", filter=REAL)).values_list("source_image_id", "boxes")
    return {key: Finding(True, boxes) for key, boxes in counted}


def taxa_on(ids: Sequence[int]) -> list[str]:
    """Names of taxa on these captures, to suggest them in a form."""
    taxa = Taxon.objects.filter(classifications__detection__source_image_id__in=ids)
    return list(taxa.order_by("name").values_list("name", flat=True).distinct()[:_SUGGESTIONS])

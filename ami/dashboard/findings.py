"""What was found on many captures at once, in few statements, however many they are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from django.db.models import Count

from ami.base.database import rows
from ami.main.related import REAL
from ami.ml.models import Detection

_SUGGESTIONS = 200
_SUGGESTED = """
WITH RECURSIVE above AS (
    SELECT t.id, t.name, t.parent_id FROM main_taxon t WHERE t.id IN (
        SELECT c.taxon_id FROM ml_classification c JOIN ml_detection d ON d.id = c.detection_id
        WHERE d.source_image_id = ANY(%(captures)s))
    UNION
    SELECT t.id, t.name, t.parent_id FROM main_taxon t JOIN above a ON t.id = a.parent_id
)
SELECT name FROM above ORDER BY name LIMIT %(most)s
"""


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
    found = Detection.objects.filter(source_image_id__in=ids).order_by().values("source_image_id")
    counted = found.annotate(boxes=Count("pk", filter=REAL)).values_list("source_image_id", "boxes")
    return {key: Finding(True, boxes) for key, boxes in counted}


def taxa_on(ids: Sequence[int]) -> list[str]:
    """Names of taxa on these captures and of those that they belong to, to suggest them in a form."""
    return [row[0] for row in rows(_SUGGESTED, {"captures": list(ids), "most": _SUGGESTIONS})]

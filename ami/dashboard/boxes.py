"""The boxes on a capture: where they are, what they were named, and by which algorithm."""

from __future__ import annotations

from dataclasses import dataclass

from django.db.models import Exists, OuterRef, Prefetch, QuerySet

from ami.main.models import SourceImage
from ami.ml.models import Classification, Detection

MOST = 500
"""Boxes on one page. More are a swarm that nobody reads; a filter finds any of them."""


@dataclass(frozen=True)
class Name:
    """One classification, for people."""

    taxon: str
    score: str
    algorithm: str


@dataclass(frozen=True)
class Box:
    """A detection in the pixels of the picture, from its top left corner. The best name comes first."""

    pk: int
    number: int
    x: float
    y: float
    width: float
    height: float
    names: list[Name]
    found_by: str

    @property
    def title(self) -> str:
        """Name and score in one line."""
        return f"{self.names[0].taxon} {self.names[0].score}" if self.names else "not named"

    @property
    def crop(self) -> str:
        """The part of the picture to show for it: a square with some room around."""
        side = max(self.width, self.height) * 1.2
        x, y = self.x + (self.width - side) / 2, self.y + (self.height - side) / 2
        return f"{x:.1f} {y:.1f} {side:.1f} {side:.1f}"


def boxes_on(capture: SourceImage, names: QuerySet[Classification] | None = None) -> tuple[list[Box], bool]:
    """The boxes of a capture, the surest first, and whether there are more than are shown.

    `names`: only boxes that one of these classifications is of.
    """
    found = Detection.objects.filter(source_image=capture, x1__isnull=False)
    if names is not None:
        found = found.filter(Exists(names.filter(detection_id=OuterRef("pk"))))
    found = found.select_related("detection_algorithm").prefetch_related(_names()).order_by("pk")
    rows = list(found[: MOST + 1])
    shown = sorted(rows[:MOST], key=_sureness)
    return [_box(number, row) for number, row in enumerate(shown, 1)], len(rows) > MOST


def _names() -> Prefetch[str]:
    """Without the vectors of scores: they are 100 kB each where classes are many."""
    rows = Classification.objects.select_related("taxon", "algorithm").order_by("-terminal", "-score", "pk")
    fields = ("detection", "score", "terminal", "taxon__name", "algorithm__name", "algorithm__version")
    return Prefetch("classifications", rows.only(*fields), to_attr="named")


def _sureness(detection: Detection) -> tuple[float, int]:
    named: list[Classification] = detection.named  # type: ignore[attr-defined]
    return (-named[0].score if named else 1.0), detection.pk


def _box(number: int, detection: Detection) -> Box:
    x1, y1, x2, y2 = detection.bbox or [0.0, 0.0, 0.0, 0.0]
    left, top = min(x1, x2), min(y1, y2)
    named: list[Classification] = detection.named  # type: ignore[attr-defined]
    return Box(
        pk=detection.pk,
        number=number,
        x=round(left, 1),
        y=round(top, 1),
        width=round(abs(x2 - x1), 1),
        height=round(abs(y2 - y1), 1),
        names=[Name(name.taxon.name, f"{name.score:.2f}", str(name.algorithm)) for name in named],
        found_by=str(detection.detection_algorithm),
    )

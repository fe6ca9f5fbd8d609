"""Boxes in an image: pixels of the full photograph, x to the right, y down, x2 and y2 exclusive."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle in pixels of the original photograph."""

    x1: float
    y1: float
    x2: float
    y2: float

    @property
    def width(self) -> float:
        """Pixels from left to right."""
        return self.x2 - self.x1

    @property
    def height(self) -> float:
        """Pixels from top to bottom."""
        return self.y2 - self.y1

    @property
    def area(self) -> float:
        """Square pixels; 0 for an empty box."""
        return max(0.0, self.width) * max(0.0, self.height)

    @property
    def diagonal(self) -> float:
        """Length of the diagonal in pixels: our measure of how large an insect is."""
        return float((self.width**2 + self.height**2) ** 0.5)

    def iou(self, other: Box) -> float:
        """Intersection over union, from 0.0 (apart) to 1.0 (the same box)."""
        width = min(self.x2, other.x2) - max(self.x1, other.x1)
        height = min(self.y2, other.y2) - max(self.y1, other.y1)
        if width <= 0 or height <= 0:
            return 0.0
        shared = width * height
        return shared / (self.area + other.area - shared)


def count_matches(found: Sequence[Box], true: Sequence[Box], *, min_iou: float = 0.5) -> int:
    """Number of pairs of a found and a true box with at least `min_iou`; each box counts in one pair."""
    pairs = sorted(
        ((f.iou(t), i, j) for i, f in enumerate(found) for j, t in enumerate(true)),
        reverse=True,
    )
    used_found: set[int] = set()
    used_true: set[int] = set()
    for overlap, i, j in pairs:
        if overlap < min_iou:
            break
        if i not in used_found and j not in used_true:
            used_found.add(i)
            used_true.add(j)
    return len(used_true)

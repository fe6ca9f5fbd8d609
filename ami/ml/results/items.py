"""A result that passed every check, in the form in which it waits in the inbox and is written."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

Box = tuple[float, float, float, float]
"""x1, y1, x2, y2 in pixels from the upper left corner."""


@dataclass(frozen=True, slots=True)
class FoundClassification:
    """A name for a detection. `scores` and `logits` are packed little-endian 32-bit floats."""

    algorithm_id: int
    category_map_id: int | None
    label: str
    rank: str
    score: float
    terminal: bool
    timestamp: datetime | None
    scores: bytes = b""
    logits: bytes = b""


@dataclass(frozen=True, slots=True)
class FoundDetection:
    """A box on a capture, with its names."""

    algorithm_id: int
    box: Box
    detected_at: datetime | None
    path: str
    classifications: tuple[FoundClassification, ...]


@dataclass(frozen=True, slots=True)
class ImageResult:
    """Everything found on one capture; without detections it becomes a null marker of `detector_id`."""

    image_id: int
    detector_id: int | None
    detections: tuple[FoundDetection, ...]


@dataclass(frozen=True, slots=True)
class SavedCounts:
    """How many distinct boxes and names the result of one capture has."""

    detections: int
    classifications: int

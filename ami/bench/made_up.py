"""Made-up results of a wanted size, built fast enough not to be what is measured."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import Any

STAMP = "2026-01-01T00:00:00"
VECTORS = 64


@dataclass
class ResultMaker:
    """Makes results with `detections` boxes each, every box with one classification over `classes` labels."""

    pipeline: str
    detections: int
    classes: int
    logits: bool = False
    _vectors: list[list[float]] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Draw the score vectors once; results take them in turn."""
        source = random.Random(1)  # noqa: S311 - not a secret
        self._vectors = [[source.random() for _ in range(self.classes)] for _ in range(VECTORS)]

    def item(self, task: dict[str, str]) -> dict[str, Any]:
        """The result of one task."""
        image_id = task["image_id"]
        return {
            "reply_subject": task["reply_subject"],
            "result": {
                "pipeline": self.pipeline,
                "algorithms": {},
                "total_time": 0.1,
                "source_images": [{"id": image_id, "url": task["image_url"]}],
                "detections": [self._detection(image_id, number) for number in range(self.detections)],
            },
        }

    def _detection(self, image_id: str, number: int) -> dict[str, Any]:
        vector = self._vectors[(int(image_id) * 7 + number) % VECTORS]
        return {
            "source_image_id": image_id,
            "bbox": {"x1": 10.0 * number, "y1": 5.0, "x2": 10.0 * number + 9, "y2": 30.0},
            "inference_time": 0.0,
            "algorithm": {"name": "Bench detector", "key": "bench-detector"},
            "timestamp": STAMP,
            "crop_image_url": None,
            "classifications": [
                {
                    "classification": f"species {(int(image_id) + number) % self.classes}",
                    "labels": None,
                    "scores": vector,
                    "logits": vector if self.logits else [],
                    "inference_time": 0.0,
                    "algorithm": {"name": "Bench classifier", "key": "bench-classifier"},
                    "terminal": True,
                    "timestamp": STAMP,
                }
            ],
        }

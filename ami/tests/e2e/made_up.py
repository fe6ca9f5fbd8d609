"""A pipeline for tests that are about the platform, not about insects: two boxes on every image."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from PIL import Image

from ami.worker.pipeline import Classification, Found, LoadedImage, Pipeline, classifier, detector
from ami.worker.results import success

BOXES = 2
LABELS = ("moth", "beetle")


class TwoBoxes(Pipeline):
    """Finds the same two boxes everywhere."""

    slug = "two_boxes"
    name = "Two boxes"
    algorithms = (
        detector("two_boxes_detector", "Detector of two boxes"),
        classifier("two_boxes_classifier", "Classifier of two boxes", LABELS),
    )

    def process_image(self, image: Image.Image) -> Sequence[Found]:
        """Two boxes."""
        return [
            Found((8.0 * number, 4.0, 8.0 * number + 6, 12.0), [Classification(label, [0.75, 0.25])])
            for number, label in enumerate(LABELS)
        ]


def results_for(tasks: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """What a worker with `TwoBoxes` would post for these tasks; no image is downloaded."""
    pipeline, picture = TwoBoxes(), Image.new("RGB", (1, 1))
    return [
        {
            "reply_subject": task["reply_subject"],
            "result": success(
                pipeline,
                LoadedImage(task["image_id"], task["image_url"], picture),
                pipeline.process_image(picture),
                0.01,
            ).model_dump(mode="json"),
        }
        for task in tasks
    ]

"""The made-up pipeline of chaos: what it finds follows from the image's number, so everybody can say it.

It runs inside real workers (`ami-worker run --pipeline ami.chaos.pipeline:ChaosBoxes`), writes down each
image that it begins, takes as long as the job's project says, and dies of images that it calls poison.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from ami.worker.pipeline import Classification, Found, LoadedImage, Pipeline, classifier, detector
from ami.worker.results import success

SLUG = "chaos_boxes"
LABELS = ("moth", "beetle", "fly")
WORK_LOG = "AMI_CHAOS_WORK_LOG"
"""Environment variable: the file that gets a line with the number of every image that is begun."""

SECONDS = "seconds_per_image"
POISON = "poison"
"""Keys of the project's settings for this pipeline."""


def boxes_on(image_id: int) -> int:
    """How many boxes are on an image: none to three."""
    return image_id % 4


def found_on(image_id: int) -> list[Found]:
    """What is on an image."""
    return [
        Found((10.0 * number, 4.0, 10.0 * number + 8, 12.0), [Classification(label, [0.5, 0.3, 0.2])])
        for number, label in enumerate(LABELS[: boxes_on(image_id)])
    ]


class ChaosBoxes(Pipeline):
    """Finds what `found_on` says."""

    slug = SLUG
    name = "Chaos boxes"
    algorithms = (
        detector("chaos_detector", "Chaos detector"),
        classifier("chaos_classifier", "Chaos classifier", LABELS),
    )

    def process(self, images: Sequence[LoadedImage]) -> Sequence[Sequence[Found]]:
        """One after the other, at the project's pace."""
        return [self._work_on(image) for image in images]

    def _work_on(self, image: LoadedImage) -> list[Found]:
        _write_down(image.id)
        if int(image.id) in image.config.get(POISON, ()):
            os.kill(os.getpid(), signal.SIGKILL)
        time.sleep(float(image.config.get(SECONDS, 0.0)))
        return found_on(int(image.id))


def result_of(task: dict[str, Any]) -> dict[str, Any]:
    """The item that a worker would post for a task; nothing is downloaded."""
    image = LoadedImage(task["image_id"], task["image_url"], Image.new("RGB", (1, 1)))
    found = success(ChaosBoxes(), image, found_on(int(task["image_id"])), 0.01)
    return {"reply_subject": task["reply_subject"], "result": found.model_dump(mode="json")}


def _write_down(image_id: str) -> None:
    if path := os.environ.get(WORK_LOG):
        with Path(path).open("a") as file:  # one short line: written whole, whoever else writes
            file.write(f"{image_id}\n")

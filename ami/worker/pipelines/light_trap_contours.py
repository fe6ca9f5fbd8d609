"""The pipeline `light_trap_contours`: finds insects on a light sheet by contrast, and sorts them by size.

It needs no GPU and no weights, so that a new installation shows real boxes within minutes. It says where an
insect is and how large, not what it is. The constants were tuned by eye on photographs of five stations; on a
sheet with much grain expect a few specks among the finds, with scores below 0.45.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from PIL import Image

from ami.worker.boxes import Box
from ami.worker.pipeline import Classification, Found, Pipeline, classifier, detector
from ami.worker.pipelines.contours.detect import find_insects

SIZES = {"small insect": 0.012, "medium insect": 0.035, "large insect": 0.10}
"""Typical diagonal of the box, as a part of the photograph's long side."""
SPREAD = 0.5
"""How far, in natural logarithms, insects of a class stray from the typical size."""


class LightTrapContours(Pipeline):
    """Contrast against the bare sheet, connected blobs, and a size class each."""

    slug = "light_trap_contours"
    name = "Light trap contours"
    description = "Finds insects on a light sheet by their contrast and sorts them by size. Needs no GPU."
    algorithms = (
        detector("light_trap_contours_detector", "Contours on a light sheet"),
        classifier("light_trap_size_classes", "Size class by the diagonal of the box", list(SIZES)),
    )

    def process_image(self, image: Image.Image) -> Sequence[Found]:
        """All insects on the photograph, the surest first."""
        return [
            Found(insect.box, [classify_size(insect.box, image.size)], score=insect.score)
            for insect in find_insects(image)
        ]


def classify_size(box: Box, size: tuple[int, int]) -> Classification:
    """Small, medium or large, by the diagonal of the box in a photograph of this width and height."""
    relative = math.log(max(box.diagonal, 1.0) / max(size))
    logits = [-(((relative - math.log(typical)) / SPREAD) ** 2) / 2 for typical in SIZES.values()]
    return Classification.from_logits(list(SIZES), logits)

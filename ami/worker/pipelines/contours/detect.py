"""Find the insects on a photograph of a light sheet: contrast, blobs, artefacts out, a score each."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image

from ami.worker.boxes import Box
from ami.worker.pipelines.contours.artefacts import is_artefact, is_fixture
from ami.worker.pipelines.contours.background import measure_contrast
from ami.worker.pipelines.contours.blobs import Blob, find_blobs, part_bodies

MIN_SCORE = 0.34
CONTRAST_SCALE = 50.0
"""Difference above the threshold (of 255) that makes a blob 50 % believable by its contrast alone."""
CORE_SCALE = 30.0
"""Pixels of body, at work size, that make a blob 50 % believable by its size alone."""


@dataclass(frozen=True, slots=True)
class Insect:
    """One find: its box in the photograph and how sure we are, from 0 to 1."""

    box: Box
    score: float


def find_insects(image: Image.Image, *, min_score: float = MIN_SCORE) -> list[Insect]:
    """All insects on an RGB photograph, the surest first."""
    contrast = measure_contrast(image)
    insects = []
    for whole in find_blobs(contrast):
        if is_fixture(whole, image, contrast.factor):
            continue
        for blob in part_bodies(whole):
            score = score_blob(blob)
            if score >= min_score and not is_artefact(blob, image, contrast.factor):
                insects.append(Insect(_box_in_photograph(blob, contrast.factor, image.size), score))
    return sorted(insects, key=lambda insect: -insect.score)


def score_blob(blob: Blob) -> float:
    """Large and strong is sure, small or faint is doubtful: neither makes up for the other.

    Size is that of the body, not of what hangs loosely together: grain in a board has area but no body.
    """
    excess = max(0.0, blob.strength - blob.threshold)
    by_contrast = excess**2 / (excess**2 + CONTRAST_SCALE**2)
    body = int(np.count_nonzero(blob.mask & (blob.smooth > blob.threshold + excess / 2)))
    return by_contrast * body / (body + CORE_SCALE)


def _box_in_photograph(blob: Blob, factor: int, size: tuple[int, int]) -> Box:
    return Box(
        float(factor * blob.left),
        float(factor * blob.top),
        float(min(size[0], factor * (blob.left + blob.width))),
        float(min(size[1], factor * (blob.top + blob.height))),
    )

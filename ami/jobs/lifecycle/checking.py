"""Judges the meaning of one posted result under a good lease: is it about the leased image, in known terms?

Shape was checked by the wire schemas; what passes here is in the form that the inbox keeps.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import lru_cache

from django.conf import settings

from ami.base.logs import clean_text
from ami.jobs.lifecycle.catalogue import Catalogue, KnownAlgorithm
from ami.ml.results import FoundClassification, FoundDetection, ImageResult
from ami.ml.schemas import ClassificationResponse, DetectionResponse, PipelineResultsResponse

LABEL_MAX = 255
SCORE_SLACK = 1e-3
"""Softmax in half precision does not add up to exactly one."""


class Unacceptable(ValueError):
    """The result cannot be accepted; the message says why, for the worker's author."""


def needed_keys(result: PipelineResultsResponse) -> frozenset[str]:
    """The algorithm keys that a result mentions."""
    keys = {detection.algorithm.key for detection in result.detections}
    keys.update(name.algorithm.key for detection in result.detections for name in detection.classifications)
    return frozenset(keys)


def check_result(result: PipelineResultsResponse, image_id: int, known: Catalogue) -> ImageResult:
    """The result in the platform's terms. Raises Unacceptable with the reason."""
    if result.pipeline != known.pipeline_slug:
        raise Unacceptable(
            f"The result is of the pipeline {clean_text(result.pipeline, 100)!r}; "
            f"the job runs {known.pipeline_slug!r}."
        )
    wanted = str(image_id)
    if any(image.id != wanted for image in result.source_images):
        raise Unacceptable(f"source_images names another image than the leased one ({wanted}).")
    if len(result.detections) > settings.RESULT_MAX_DETECTIONS:
        raise Unacceptable(
            f"{len(result.detections):,} detections; at most {settings.RESULT_MAX_DETECTIONS:,} are accepted."
        )
    detections = []
    for number, detection in enumerate(result.detections):
        if detection.source_image_id != wanted:
            raise Unacceptable(f"Detection {number} is of another image than the leased one ({wanted}).")
        if detection.bbox is not None:
            detections.append(_detection(number, detection, known))
    return ImageResult(image_id, known.detector_id, tuple(detections))


def _detection(number: int, detection: DetectionResponse, known: Catalogue) -> FoundDetection:
    box = detection.bbox
    assert box is not None  # noqa: S101 - the caller looked
    values = (box.x1, box.y1, box.x2, box.y2)
    if not all(map(math.isfinite, values)):
        raise Unacceptable(f"The box of detection {number} has a number that is not finite.")
    if box.x2 < box.x1 or box.y2 < box.y1:
        raise Unacceptable(f"The box of detection {number} ends before it begins.")
    algorithm = _algorithm(detection.algorithm.key, known)
    return FoundDetection(
        algorithm_id=algorithm.id,
        box=values,
        detected_at=_aware(detection.timestamp),
        path=_crop_path(detection.crop_image_url),
        classifications=tuple(_classification(number, name, known) for name in detection.classifications),
    )


def _classification(number: int, name: ClassificationResponse, known: Catalogue) -> FoundClassification:
    algorithm = _algorithm(name.algorithm.key, known)
    label = clean_text(name.classification, LABEL_MAX).strip()
    if not label:
        raise Unacceptable(f"A classification of detection {number} has no label.")
    if not name.scores:
        raise Unacceptable(f"The classification {label!r} of detection {number} has no scores.")
    logits = name.logits or ()
    _check_numbers(name.scores, logits, label, number)
    return FoundClassification(
        algorithm_id=algorithm.id,
        category_map_id=algorithm.category_map_id,
        label=label,
        rank=algorithm.ranks.get(label, "UNKNOWN"),
        score=sorted((0.0, max(name.scores), 1.0))[1],
        terminal=name.terminal,
        timestamp=_aware(name.timestamp),
        scores=_pack(name.scores, label, number),
        logits=_pack(logits, label, number),
    )


def _check_numbers(scores: Sequence[float], logits: Sequence[float], label: str, number: int) -> None:
    """Look at whole vectors with builtins: a pass in Python over 29,000 classes would hold up everybody.

    A sum shows whether all are finite: no sum of numbers that the schema lets through overflows.
    """
    if not math.isfinite(sum(scores)) or not math.isfinite(sum(logits)):
        kind = "logit" if math.isfinite(sum(scores)) else "score"
        raise Unacceptable(
            f"The classification {label!r} of detection {number} has a {kind} that is not finite."
        )
    for extreme in (min(scores), max(scores)):
        if not -SCORE_SLACK <= extreme <= 1 + SCORE_SLACK:
            raise Unacceptable(
                f"The classification {label!r} of detection {number} has the score {extreme:g}; "
                "scores are from 0 to 1."
            )


def _algorithm(key: str, known: Catalogue) -> KnownAlgorithm:
    algorithm = known.algorithms.get(key)
    if algorithm is None:
        raise Unacceptable(
            f"The algorithm {clean_text(key, 100)!r} is not registered on the pipeline "
            f"{known.pipeline_slug!r}; known are: {', '.join(sorted(known.algorithms)) or 'none'}."
        )
    return algorithm


@lru_cache(maxsize=64)
def _packer(length: int) -> struct.Struct:
    return struct.Struct(f"<{length}f")


def _pack(values: Sequence[float], label: str, number: int) -> bytes:
    try:
        return _packer(len(values)).pack(*values)
    except OverflowError:
        raise Unacceptable(
            f"The classification {label!r} of detection {number} has a number that is too large."
        ) from None


def _aware(moment: datetime | None) -> datetime | None:
    """Workers send their own local time without a zone; nobody knows the zone, so it is read as UTC."""
    if moment is None or moment.tzinfo is not None:
        return moment
    return moment.replace(tzinfo=UTC)


def _crop_path(url: str | None) -> str:
    path = clean_text(url or "", 1024).strip()
    return "" if path == "/" else path

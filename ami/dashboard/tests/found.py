"""Captures on which something was found, for tests."""

from __future__ import annotations

from typing import Any

from ami.main.models import SourceImage, Taxon
from ami.ml.models import Algorithm, Classification, Detection
from ami.ml.tests.factories import make_algorithm


def algorithm(key: str, **fields: Any) -> Algorithm:
    """The algorithm of this key."""
    return Algorithm.objects.filter(key=key).first() or make_algorithm(key=key, name=key.title(), **fields)


def add_box(
    capture: SourceImage,
    box: tuple[float, float, float, float] = (10, 20, 110, 70),
    *names: tuple[str, float],
    **fields: Any,
) -> Detection:
    """A box with these names and scores."""
    x1, y1, x2, y2 = box
    detection = Detection.objects.create(
        source_image=capture, detection_algorithm=algorithm("finder"), x1=x1, y1=y1, x2=x2, y2=y2, **fields
    )
    for name, score in names:
        taxon, _ = Taxon.objects.get_or_create(name=name)
        Classification.objects.create(
            detection=detection, algorithm=algorithm("namer"), taxon=taxon, score=score
        )
    return detection


def look_in_vain(capture: SourceImage) -> None:
    """Somebody looked at it and found nothing."""
    Detection.objects.create(source_image=capture, detection_algorithm=algorithm("finder"))

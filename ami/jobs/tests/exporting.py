"""Predictions for tests of exports, written row by row."""

from __future__ import annotations

import itertools
import zipfile
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ami.jobs.tests.world import World
from ami.main.models import SourceImage, Taxon
from ami.ml.models import Algorithm, Classification, Detection

RAN_AT = datetime(2024, 6, 2, 1, 2, 3, tzinfo=UTC)
_numbers = itertools.count(1)


class Findings:
    """Boxes, names and markers on captures of a world."""

    def __init__(self, world: World) -> None:
        """Its detector and classifier are those that find, unless others are named."""
        self.world = world

    def box(
        self,
        capture: SourceImage,
        *,
        names: Sequence[str] = (),
        detector: Algorithm | None = None,
        **fields: Any,
    ) -> Detection:
        """A box, with names of the classifier."""
        number = next(_numbers)
        given: dict[str, Any] = {"x1": 10.0 * number, "y1": 5.5, "x2": 10.0 * number + 8, "y2": 20.25}
        box = Detection.objects.create(
            source_image=capture,
            detection_algorithm=detector or self.world.detector,
            detection_time=RAN_AT,
            **(given | fields),
        )
        for name in names:
            taxon, _ = Taxon.objects.get_or_create(name=name, defaults={"rank": "ORDER"})
            Classification.objects.create(
                detection=box, algorithm=self.world.classifier, taxon=taxon, score=0.75, timestamp=RAN_AT
            )
        return box

    def nothing(self, capture: SourceImage, *, detector: Algorithm | None = None) -> Detection:
        """A marker: looked, found nothing."""
        return Detection.objects.create(
            source_image=capture,
            detection_algorithm=detector or self.world.detector,
            detection_time=RAN_AT,
        )

    def another_algorithm(self) -> Algorithm:
        """A detector that is not of the world's pipeline."""
        return Algorithm.objects.get_or_create(
            key="another", defaults={"name": "Another", "task_type": "localization"}
        )[0]

    def same_content(self, one: Path, other: Path) -> bool:
        """Whether two files, or the tables in two zip files, say the same."""
        if not zipfile.is_zipfile(one):
            return one.read_bytes() == other.read_bytes()
        with zipfile.ZipFile(one) as first, zipfile.ZipFile(other) as second:
            tables = [name for name in first.namelist() if name.endswith(".csv")]
            return first.testzip() is None and all(first.read(name) == second.read(name) for name in tables)

"""Tiles: captures as they stand in a grid."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ami.dashboard.facts import Moment, moment_of
from ami.dashboard.findings import Finding, findings_on
from ami.dashboard.pictures import Picture, picture_of
from ami.main.models import SourceImage


@dataclass(frozen=True)
class Tile:
    """A capture in a grid."""

    capture: SourceImage
    picture: Picture
    taken: Moment | None
    finding: Finding


def tiles_of(captures: Sequence[SourceImage]) -> list[Tile]:
    """Tiles of captures that were read with their stations; one statement more, however many they are."""
    findings = findings_on([capture.pk for capture in captures])
    return [
        Tile(capture, picture_of(capture), moment_of(capture), findings.get(capture.pk, Finding()))
        for capture in captures
    ]

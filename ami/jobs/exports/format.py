"""What an export format has to know."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from ami.jobs.exports.parts import Parts
from ami.jobs.exports.rows import Capture, Found
from ami.jobs.models import DataExport


class Writer(Protocol):
    """Writes the captures of one step."""

    left_out: Counter[str]
    """Captures that the format cannot express, by the reason."""

    def add(self, capture: Capture, found: Iterator[Found]) -> int:
        """Write a capture with what was found on it; how many rows that made."""

    def end_step(self) -> None:
        """Write what was collected over the step."""


@dataclass(frozen=True, slots=True)
class Total:
    """What an export came to."""

    captures: int
    left_out: Mapping[str, int]


class Format(Protocol):
    """One format of exports."""

    ending: str
    content_type: str
    deflated: frozenset[str]
    """Parts that are compressed while they grow."""

    def begin(self, parts: Parts) -> None:
        """Write what comes before the first row."""

    def writer(self, parts: Parts, base_url: str) -> Writer:
        """For one step."""

    def finish(self, parts: Parts, export: DataExport, total: Total) -> Path:
        """Write what comes after the last row, and make the file, in the folder of the parts.

        Raises InvalidInput if there is nothing that could be a file of this format.
        """

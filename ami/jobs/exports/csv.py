"""The table as CSV for people: UTF-8 with a mark, so that Excel knows, and no cell that is a formula."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ami.jobs.exports.format import Total
from ami.jobs.exports.parts import Part, Parts, TextPart
from ami.jobs.exports.rows import Capture, Found
from ami.jobs.exports.table import FIELDS, capture_cells, found_cells
from ami.jobs.models import DataExport

_NAME = "table.csv"
_MARK = b"\xef\xbb\xbf"
_BEGINS_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")


class CsvFormat:
    """One CSV file."""

    ending = ".csv"
    content_type = "text/csv; charset=utf-8"
    deflated: frozenset[str] = frozenset()

    def begin(self, parts: Parts) -> None:
        """The names of the columns."""
        part = parts[_NAME]
        part.write(_MARK)
        csv.writer(TextPart(part)).writerow(FIELDS)

    def writer(self, parts: Parts, base_url: str) -> _CsvWriter:
        """For one step."""
        return _CsvWriter(parts[_NAME], base_url)

    def finish(self, parts: Parts, export: DataExport, total: Total) -> Path:
        """It is finished as it is."""
        return parts.folder / _NAME


class _CsvWriter:
    def __init__(self, part: Part, base_url: str) -> None:
        self.left_out: Counter[str] = Counter()
        self._csv = csv.writer(TextPart(part))
        self._base_url = base_url

    def add(self, capture: Capture, found: Iterator[Found]) -> int:
        about = [harmless(cell) for cell in capture_cells(capture, self._base_url)]
        written = 0
        for written, row in enumerate(found, start=1):  # noqa: B007 - the last number is how many
            self._csv.writerow(about + [harmless(cell) for cell in found_cells(row)])
        return written

    def end_step(self) -> None:
        pass


def harmless(cell: Any) -> Any:
    """A cell as a spreadsheet shall show it: text that begins like a formula gets an apostrophe in front.

    Numbers stay numbers, also negative ones.
    """
    if isinstance(cell, str):
        return f"'{cell}" if cell.startswith(_BEGINS_FORMULA) else cell
    if isinstance(cell, bool):
        return "true" if cell else "false"
    return cell

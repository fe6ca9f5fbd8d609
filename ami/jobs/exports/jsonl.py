"""The table as JSON Lines: one object a line, the same keys in each, null for what is not known."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import orjson

from ami.jobs.exports.format import Total
from ami.jobs.exports.parts import Part, Parts
from ami.jobs.exports.rows import Capture, Found
from ami.jobs.exports.table import CAPTURE_FIELDS, FOUND_FIELDS, capture_cells, found_cells
from ami.jobs.models import DataExport

_NAME = "table.jsonl"


class JsonLinesFormat:
    """One file of JSON objects."""

    ending = ".jsonl"
    content_type = "application/jsonl"
    deflated: frozenset[str] = frozenset()

    def begin(self, parts: Parts) -> None:
        """An empty file."""
        parts[_NAME].write(b"")

    def writer(self, parts: Parts, base_url: str) -> _JsonLinesWriter:
        """For one step."""
        return _JsonLinesWriter(parts[_NAME], base_url)

    def finish(self, parts: Parts, export: DataExport, total: Total) -> Path:
        """It is finished as it is."""
        return parts.folder / _NAME


class _JsonLinesWriter:
    def __init__(self, part: Part, base_url: str) -> None:
        self.left_out: Counter[str] = Counter()
        self._part = part
        self._base_url = base_url

    def add(self, capture: Capture, found: Iterator[Found]) -> int:
        about = dict(zip(CAPTURE_FIELDS, capture_cells(capture, self._base_url), strict=True))
        written = 0
        for written, row in enumerate(found, start=1):  # noqa: B007 - the last number is how many
            line = about | dict(zip(FOUND_FIELDS, found_cells(row), strict=True))
            self._part.write(orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE))
        return written

    def end_step(self) -> None:
        pass

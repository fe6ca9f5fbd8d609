"""Which export formats there are."""

from __future__ import annotations

from ami.jobs.exports.camtrap import CamtrapFormat
from ami.jobs.exports.csv import CsvFormat
from ami.jobs.exports.format import Format
from ami.jobs.exports.jsonl import JsonLinesFormat
from ami.jobs.models import ExportFormat

_FORMATS: dict[ExportFormat, Format] = {
    ExportFormat.CSV: CsvFormat(),
    ExportFormat.JSONL: JsonLinesFormat(),
    ExportFormat.CAMTRAP_DP: CamtrapFormat(),
}


def find_format(key: str) -> Format:
    """The format of an export."""
    return _FORMATS[ExportFormat(key)]

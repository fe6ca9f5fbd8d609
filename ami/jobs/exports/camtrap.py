"""Camtrap DP 1.0: three tables and what describes them, in a zip file.

Media and observations grow together, a capture at a time, so that no observation is of a capture that is not
there. Which stations and taxa there are is noted in a file beside them; the end makes a table and metadata of
that.
"""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import orjson

from ami.base.errors import InvalidInput
from ami.jobs.exports.camtrap_columns import DEPLOYMENTS, MEDIA, OBSERVATIONS
from ami.jobs.exports.camtrap_package import describe
from ami.jobs.exports.camtrap_rows import (
    Station,
    deployment_row,
    media_row,
    moment,
    observation_row,
    unfit,
)
from ami.jobs.exports.camtrap_seen import Seen, read_seen
from ami.jobs.exports.format import Total
from ami.jobs.exports.parts import Part, Parts, TextPart
from ami.jobs.exports.rows import Capture, Found
from ami.jobs.exports.zipping import Member, write_zip
from ami.jobs.models import DataExport

_DEPLOYMENTS, _MEDIA, _OBSERVATIONS = "deployments.csv", "media.csv", "observations.csv"
_PACKAGE = "datapackage.json"
_SEEN = "seen.jsonl"
_ZIP = "package.zip"
_MEMBERS = (_PACKAGE, _DEPLOYMENTS, _MEDIA, _OBSERVATIONS)


class CamtrapFormat:
    """A zipped data package."""

    ending = ".zip"
    content_type = "application/zip"
    deflated = frozenset(_MEMBERS)

    def begin(self, parts: Parts) -> None:
        """The names of the columns."""
        _table(parts[_MEDIA], MEDIA).writeheader()
        _table(parts[_OBSERVATIONS], OBSERVATIONS).writeheader()

    def writer(self, parts: Parts, base_url: str) -> _CamtrapWriter:
        """For one step."""
        return _CamtrapWriter(parts, base_url)

    def finish(self, parts: Parts, export: DataExport, total: Total) -> Path:
        """Stations, metadata, and all of it in one file."""
        seen = read_seen(parts.folder / _SEEN)
        if not seen.stations:
            raise InvalidInput(_nothing(total))
        stations = [seen.stations[key] for key in sorted(seen.stations)]
        table = _table(parts[_DEPLOYMENTS], DEPLOYMENTS)
        table.writeheader()
        table.writerows(deployment_row(station) for station in stations)
        package = describe(export, stations, seen.taxa.values(), left_out_sentence(total))
        parts[_PACKAGE].write(orjson.dumps(package, option=orjson.OPT_INDENT_2))
        parts.settle(last=True)
        made = parts.folder / _ZIP
        write_zip(made, [Member(name, parts.folder / name, parts.written(name)) for name in _MEMBERS])
        return made


class _CamtrapWriter:
    def __init__(self, parts: Parts, base_url: str) -> None:
        self.left_out: Counter[str] = Counter()
        self._media = _table(parts[_MEDIA], MEDIA)
        self._observations = _table(parts[_OBSERVATIONS], OBSERVATIONS)
        self._beside = parts[_SEEN]
        self._base_url = base_url
        self._seen = Seen()

    def add(self, capture: Capture, found: Iterator[Found]) -> int:
        if reason := unfit(capture):
            self.left_out[reason] += 1
            return 0
        station = Station.of(capture)
        taken = moment(station.start)
        self._seen.note_station(station)
        self._media.writerow(media_row(capture, self._base_url, taken))
        written = 0
        for written, row in enumerate(found, start=1):  # noqa: B007 - the last number is how many
            self._seen.note_taxon(row)
            self._observations.writerow(observation_row(capture, row, taken))
        return written

    def end_step(self) -> None:
        self._beside.write(self._seen.as_lines())


def left_out_sentence(total: Total) -> str:
    """Which captures are missing, and why; empty if none is."""
    if not total.left_out:
        return ""
    reasons = ", ".join(f"{count:,} {reason}" for reason, count in sorted(total.left_out.items()))
    return (
        f"{sum(total.left_out.values()):,} of {total.captures:,} captures are left out, because Camtrap DP "
        f"cannot express them: {reasons}."
    )


def _nothing(total: Total) -> str:
    if not total.captures:
        return "There are no captures to make a Camtrap DP of; the formats csv and jsonl may be empty."
    return f"{left_out_sentence(total)} Nothing is left to export; complete the stations, or choose csv."


def _table(part: Part, columns: tuple[str, ...]) -> csv.DictWriter[str]:
    return csv.DictWriter(TextPart(part), columns, extrasaction="ignore", lineterminator="\n")

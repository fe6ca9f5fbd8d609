"""Which stations and taxa an export came by: a line each per step, put together at the end.

There are as many in memory as there are stations and taxa, however many captures are exported.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import orjson

from ami.jobs.exports.camtrap_rows import Station
from ami.jobs.exports.rows import Found


@dataclass(frozen=True, slots=True)
class SeenTaxon:
    """A name as it was given to a box."""

    name: str
    rank: str
    gbif_key: int | None


@dataclass(slots=True)
class Seen:
    """Stations and taxa by their ids."""

    stations: dict[int, Station] = field(default_factory=dict)
    taxa: dict[int, SeenTaxon] = field(default_factory=dict)

    def note_station(self, station: Station) -> None:
        """A capture of it was exported."""
        known = self.stations.get(station.id)
        self.stations[station.id] = known.joined(station) if known else station

    def note_taxon(self, found: Found) -> None:
        """A box with this name was exported, if it has one."""
        if found.taxon_id is not None and found.taxon_id not in self.taxa:
            self.taxa[found.taxon_id] = SeenTaxon(found.label, found.rank, found.gbif_key)

    def as_lines(self) -> bytes:
        """For a file."""
        lines: list[dict[str, Any]] = [{"station": asdict(station)} for station in self.stations.values()]
        lines += [{"taxon": key, **asdict(taxon)} for key, taxon in self.taxa.items()]
        return b"".join(orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE) for line in lines)


def read_seen(path: Path) -> Seen:
    """What all steps noted."""
    seen = Seen()
    if not path.exists():
        return seen
    with path.open("rb") as lines:
        for line in lines:
            noted = orjson.loads(line)
            if "station" in noted:
                seen.note_station(_station(noted["station"]))
            else:
                key = noted.pop("taxon")
                seen.taxa[key] = SeenTaxon(**noted)
    return seen


def _station(noted: dict[str, Any]) -> Station:
    start, end = (datetime.fromisoformat(noted.pop(name)) for name in ("start", "end"))
    return Station(**noted, start=start, end=end)

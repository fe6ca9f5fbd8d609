"""datapackage.json of a Camtrap DP: what is in it, from where and when, and which taxa.

What the platform does not know and the profile demands all the same is said as carefully as it can be; who
publishes the package corrects it (docs/howto/export-data.md).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from django.utils.text import slugify

from ami.base import clock
from ami.jobs.exports.camtrap_rows import Station, moment
from ami.jobs.exports.camtrap_seen import SeenTaxon
from ami.jobs.exports.scope import scope_of
from ami.jobs.models import DataExport

VERSION = "1.0"
_PUBLISHED = f"https://raw.githubusercontent.com/tdwg/camtrap-dp/{VERSION}"

RANKS = frozenset({"kingdom", "phylum", "class", "order", "family", "genus", "species", "subspecies"})
"""Those that the profile knows."""

TABLES = ("deployments", "media", "observations")


def describe(
    export: DataExport, stations: Sequence[Station], taxa: Iterable[SeenTaxon], left_out: str
) -> dict[str, Any]:
    """The whole of it. `stations`: at least one."""
    project = export.project
    title = f"{project.name}: {scope_of(export).title}"
    return {
        "resources": [_resource(name) for name in TABLES],
        "profile": f"{_PUBLISHED}/camtrap-dp-profile.json",
        "name": f"{slugify(project.name) or 'project'}-export-{export.pk}",
        "created": moment(clock.now()),
        "title": title,
        "contributors": [{"title": _contributor(export), "role": "contributor"}],
        "description": " ".join(part for part in (f"Machine observations of {title}.", left_out) if part),
        "version": "1.0",
        "sources": [{"title": "AMI", **({"path": export.base_url} if export.base_url else {})}],
        "project": {
            "id": str(project.pk),
            "title": project.name,
            "description": project.description,
            "samplingDesign": "opportunistic",
            "captureMethod": ["activityDetection", "timeLapse"],
            "individualAnimals": False,
            "observationLevel": ["media"],
        },
        "spatial": _spatial(stations),
        "temporal": {
            "start": min(station.start for station in stations).date().isoformat(),
            "end": max(station.end for station in stations).date().isoformat(),
        },
        "taxonomic": [_taxon(taxon) for taxon in sorted(taxa, key=lambda taxon: taxon.name)],
    }


def _resource(name: str) -> dict[str, str]:
    return {
        "name": name,
        "path": f"{name}.csv",
        "profile": "tabular-data-resource",
        "format": "csv",
        "mediatype": "text/csv",
        "encoding": "utf-8",
        "schema": f"{_PUBLISHED}/{name}-table-schema.json",
    }


def _contributor(export: DataExport) -> str:
    """A person by name; never by an address."""
    return (export.user.name if export.user else "") or export.project.name


def _spatial(stations: Sequence[Station]) -> dict[str, Any]:
    places = sorted({(station.longitude, station.latitude) for station in stations})
    longitudes, latitudes = zip(*places, strict=True)
    return {
        "type": "MultiPoint",
        "bbox": [min(longitudes), min(latitudes), max(longitudes), max(latitudes)],
        "coordinates": [list(place) for place in places],
    }


def _taxon(taxon: SeenTaxon) -> dict[str, str]:
    about = {"scientificName": taxon.name}
    if taxon.gbif_key is not None:
        about["taxonID"] = f"https://www.gbif.org/species/{taxon.gbif_key}"
    if taxon.rank.lower() in RANKS:
        about["taxonRank"] = taxon.rank.lower()
    return about

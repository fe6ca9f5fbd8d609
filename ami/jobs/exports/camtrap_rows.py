"""Rows of the three tables of Camtrap DP 1.0 (https://camtrap-dp.tdwg.org/data).

The names of columns are those of the published table schemas, which tests hold them against; columns that we
know nothing for stay empty.
"""

from __future__ import annotations

import mimetypes
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import PurePosixPath

from ami.jobs.exports.links import capture_address, is_public
from ami.jobs.exports.rows import Capture, Found

Row = dict[str, object]

SMALLEST_SIDE = 1e-15
"""What the schema demands of a box's width and height."""

_DECIMALS = 6


@dataclass(frozen=True, slots=True)
class Station:
    """A station, and from when to when its exported captures were taken."""

    id: int
    name: str
    latitude: float
    longitude: float
    site: str
    device: str
    start: datetime
    end: datetime

    @classmethod
    def of(cls, capture: Capture) -> Station:
        """The station of a capture that `unfit` found nothing wrong with, as far as that capture tells."""
        taken = capture.local_time
        if (
            capture.station_id is None
            or capture.latitude is None
            or capture.longitude is None
            or taken is None
        ):
            raise ValueError(f"capture {capture.id} does not fit")
        return cls(
            capture.station_id,
            capture.station,
            capture.latitude,
            capture.longitude,
            capture.site,
            capture.device,
            taken,
            taken,
        )

    def joined(self, later: Station) -> Station:
        """The same station with the captures of both; what it is called is as `later` has it."""
        return replace(later, start=min(self.start, later.start), end=max(self.end, later.end))


def unfit(capture: Capture) -> str:
    """Why Camtrap DP cannot express a capture; empty if it can."""
    if capture.station_id is None:
        return "have no station"
    if capture.latitude is None or capture.longitude is None:
        return "are of stations without coordinates"
    if capture.taken_at is None:
        return "have no time"
    return "" if capture.path else "have no file"


def moment(value: datetime) -> str:
    """A time to the second, with its zone: `Z` or hours and minutes."""
    offset = value.utcoffset() or timedelta()
    if not offset or offset % timedelta(minutes=1):  # before there were zones, offsets had seconds
        return f"{value.astimezone(UTC):%Y-%m-%dT%H:%M:%S}Z"
    return value.isoformat(timespec="seconds")


def deployment_row(station: Station) -> Row:
    """A row of deployments.csv."""
    return {
        "deploymentID": station.id,
        "locationID": station.id,
        "locationName": station.name,
        "latitude": station.latitude,
        "longitude": station.longitude,
        "deploymentStart": moment(station.start),
        "deploymentEnd": moment(station.end),
        "cameraModel": station.device,
        "deploymentGroups": f"site:{_word(station.site)}" if station.site else "",
    }


def media_row(capture: Capture, base_url: str, taken: str) -> Row:
    """A row of media.csv."""
    address = capture_address(capture, base_url)
    public = is_public(capture)
    if not address or ".." in address:  # it has to have one, and the schema forbids dots
        address, public = f"{base_url}/api/v2/captures/{capture.id}/", False
    return {
        "mediaID": capture.id,
        "deploymentID": capture.station_id,
        "timestamp": taken,
        "filePath": address.lstrip("/"),
        "filePublic": "true" if public else "false",
        "fileName": PurePosixPath(capture.path).name,
        "fileMediatype": _media_type(capture.path),
    }


def observation_row(capture: Capture, found: Found, taken: str) -> Row:
    """A row of observations.csv: a name for a box, a box without a name, or nothing found."""
    box = {} if found.is_blank else normalised_box(capture, found)
    row: Row = {
        "observationID": _observation_id(found),
        "deploymentID": capture.station_id,
        "mediaID": capture.id,
        "eventStart": taken,
        "eventEnd": taken,
        "observationLevel": "media",
        "observationType": _type(found),
        "classificationMethod": "machine",
        "classifiedBy": f"{found.detector} v{found.detector_version}",
        "observationTags": " | ".join(_tags(found, in_pixels=not box)),
    }
    judged_at = found.detected_at
    if not found.is_blank:
        row |= {"count": 1, **box}
    if found.classification_id is not None:
        row["scientificName"] = found.label
        row["classifiedBy"] = f"{found.classifier} v{found.classifier_version}"
        if found.score is not None and 0 <= found.score <= 1:
            row["classificationProbability"] = found.score
        judged_at = found.classified_at
    if judged_at is not None:
        row["classificationTimestamp"] = moment(judged_at)
    return row


def normalised_box(capture: Capture, found: Found) -> Row:
    """A box relative to the size of its capture, cut off at the edges; empty if that cannot be said."""
    if not capture.width or not capture.height:
        return {}
    x, width = _share(found.x1 or 0, found.x2 or 0, capture.width)
    y, height = _share(found.y1 or 0, found.y2 or 0, capture.height)
    if width < SMALLEST_SIDE or height < SMALLEST_SIDE:
        return {}
    return {"bboxX": x, "bboxY": y, "bboxWidth": width, "bboxHeight": height}


def _share(low: float, high: float, whole: int) -> tuple[float, float]:
    begin, end = (round(min(max(edge / whole, 0.0), 1.0), _DECIMALS) for edge in (low, high))
    return begin, round(end - begin, _DECIMALS)


def _observation_id(found: Found) -> str:
    if found.classification_id is not None:
        return f"c{found.classification_id}"
    return f"{'b' if found.is_blank else 'd'}{found.detection_id}"


def _type(found: Found) -> str:
    if found.is_blank:
        return "blank"
    return "unclassified" if found.classification_id is None else "animal"


def _tags(found: Found, *, in_pixels: bool) -> Iterator[str]:
    """Where it comes from, as `key:value`: what the standard has no columns for."""
    if not found.is_blank:
        yield f"detection:{found.detection_id}"
        yield f"detector:{_word(found.detector)} v{found.detector_version}"
        if in_pixels:
            yield f"boxInPixels:{found.x1:g},{found.y1:g},{found.x2:g},{found.y2:g}"
    if found.rank:
        yield f"taxonRank:{_word(found.rank)}"
    if found.terminal is not None:
        yield f"terminal:{'true' if found.terminal else 'false'}"
    if found.pipeline:
        yield f"pipeline:{_word(found.pipeline)}"
    if found.job_id is not None:
        yield f"job:{found.job_id}"


def _word(text: str) -> str:
    """Text inside a list whose items are parted by bars."""
    return text.replace("|", "/")


def _media_type(path: str) -> str:
    guessed = mimetypes.guess_type(path)[0] or ""
    return guessed if guessed.startswith(("image/", "video/", "audio/")) else "image/jpeg"

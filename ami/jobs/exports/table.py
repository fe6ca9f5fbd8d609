"""The one table of the CSV and JSON Lines formats: a row per name of a box, with everything about it.

A box without a name is a row without label, and a capture on which a detector found nothing is a row without
box. Captures that nobody looked at are not in it (docs/reference/exports.md lists the fields).
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from ami.jobs.exports.links import capture_address
from ami.jobs.exports.rows import Capture, Found

CAPTURE_FIELDS = (
    "capture_id",
    "capture_path",
    "capture_url",
    "captured_at",
    "capture_width",
    "capture_height",
    "station_id",
    "station",
    "site",
    "latitude",
    "longitude",
)
FOUND_FIELDS = (
    "found",
    "detection_id",
    "box_x1",
    "box_y1",
    "box_x2",
    "box_y2",
    "detection_algorithm",
    "detection_algorithm_version",
    "detected_at",
    "job_id",
    "pipeline",
    "classification_id",
    "label",
    "taxon_rank",
    "gbif_key",
    "score",
    "terminal",
    "classification_algorithm",
    "classification_algorithm_version",
    "classified_at",
)
FIELDS = CAPTURE_FIELDS + FOUND_FIELDS


def capture_cells(capture: Capture, base_url: str) -> tuple[Any, ...]:
    """The cells of `CAPTURE_FIELDS`; the same for every row of a capture."""
    return (
        capture.id,
        capture.path or None,
        capture_address(capture, base_url) or None,
        _time(capture.local_time),
        capture.width,
        capture.height,
        capture.station_id,
        capture.station or None,
        capture.site or None,
        capture.latitude,
        capture.longitude,
    )


def found_cells(found: Found) -> tuple[Any, ...]:
    """The cells of `FOUND_FIELDS`."""
    blank = found.is_blank
    return (
        not blank,
        None if blank else found.detection_id,
        found.x1,
        found.y1,
        found.x2,
        found.y2,
        found.detector,
        found.detector_version,
        _time(found.detected_at),
        found.job_id,
        found.pipeline or None,
        found.classification_id,
        found.label or None,
        found.rank or None,
        found.gbif_key,
        found.score,
        found.terminal,
        found.classifier or None,
        found.classifier_version,
        _time(found.classified_at),
    )


def _time(value: datetime | None) -> str | None:
    """With its zone."""
    return value.isoformat() if value else None

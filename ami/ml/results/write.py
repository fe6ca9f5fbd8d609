"""Writes the predictions of many captures with three statements, whatever their number.

Every insert is keyed by what the prediction is (capture, algorithm, box; detection, algorithm, taxon), so a
replay writes nothing, and two savers of the same capture cannot double it. Rows are sorted by key, so that
savers of the same captures lock in the same order.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ami.base.database import execute, rows
from ami.ml.results.items import Box, FoundClassification, FoundDetection, ImageResult, SavedCounts

DetectionKey = tuple[int, int, float, float, float, float]
"""Capture, algorithm and box."""

ClassificationKey = tuple[int, int, int]
"""Detection, algorithm and taxon."""


def write_predictions(
    results: Sequence[ImageResult], taxa: Mapping[str, int], captured_at: Mapping[int, Any], job_id: int
) -> dict[int, SavedCounts]:
    """Write detections, classifications and null markers; call inside the saving transaction.

    `taxa` maps every label to its taxon, `captured_at` every capture to its timestamp. Returns the counts by
    capture. Safe to run twice: what is there already is not written again.
    """
    found = _distinct_detections(results)
    ids = _write_detections(found, captured_at, job_id)
    named = _distinct_classifications(found, ids, taxa)
    _write_classifications(named)
    _write_null_markers(results, captured_at, job_id)
    return _counts(results, found, ids, named)


def _distinct_detections(results: Sequence[ImageResult]) -> dict[DetectionKey, FoundDetection]:
    found: dict[DetectionKey, FoundDetection] = {}
    for result in results:
        for detection in result.detections:
            found.setdefault(_key(result.image_id, detection.algorithm_id, detection.box), detection)
    return dict(sorted(found.items()))


def _key(image_id: int, algorithm_id: int, box: Box) -> DetectionKey:
    return (image_id, algorithm_id, *box)


def _write_detections(
    found: Mapping[DetectionKey, FoundDetection], captured_at: Mapping[int, Any], job_id: int
) -> dict[DetectionKey, int]:
    """Insert what is new; returns the id of every detection, new or old."""
    if not found:
        return {}
    columns = list(zip(*found, strict=True))
    written = rows(
        """INSERT INTO ml_detection AS d (source_image_id, detection_algorithm_id, x1, y1, x2, y2, timestamp,
            detection_time, path, job_id, created_at, updated_at)
        SELECT u.*, %s, clock_timestamp(), clock_timestamp() FROM unnest(%s::bigint[], %s::bigint[],
            %s::float8[], %s::float8[], %s::float8[], %s::float8[], %s::timestamptz[], %s::timestamptz[],
            %s::text[]) AS u
        ON CONFLICT (source_image_id, detection_algorithm_id, x1, y1, x2, y2)
        DO UPDATE SET path = CASE WHEN d.path = '' THEN excluded.path ELSE d.path END
        RETURNING d.source_image_id, d.detection_algorithm_id, d.x1, d.y1, d.x2, d.y2, d.id""",
        [
            job_id,
            *(list(column) for column in columns),
            [captured_at.get(key[0]) for key in found],
            [detection.detected_at for detection in found.values()],
            [detection.path for detection in found.values()],
        ],
    )
    return {(row[0], row[1], row[2], row[3], row[4], row[5]): row[6] for row in written}


def _distinct_classifications(
    found: Mapping[DetectionKey, FoundDetection], ids: Mapping[DetectionKey, int], taxa: Mapping[str, int]
) -> dict[ClassificationKey, FoundClassification]:
    named: dict[ClassificationKey, FoundClassification] = {}
    for key, detection in found.items():
        for classification in detection.classifications:
            named.setdefault(
                (ids[key], classification.algorithm_id, taxa[classification.label]), classification
            )
    return dict(sorted(named.items()))


def _write_classifications(named: Mapping[ClassificationKey, FoundClassification]) -> None:
    if not named:
        return
    columns = list(zip(*named, strict=True))
    values = list(named.values())
    execute(
        """INSERT INTO ml_classification (detection_id, algorithm_id, taxon_id, category_map_id, score,
            terminal, timestamp, scores_packed, logits_packed, created_at, updated_at)
        SELECT u.*, clock_timestamp(), clock_timestamp() FROM unnest(%s::bigint[], %s::bigint[], %s::bigint[],
            %s::bigint[], %s::float8[], %s::boolean[], %s::timestamptz[], %s::bytea[], %s::bytea[]) AS u
        ON CONFLICT (detection_id, algorithm_id, taxon_id) DO NOTHING""",
        [
            *(list(column) for column in columns),
            [value.category_map_id for value in values],
            [value.score for value in values],
            [value.terminal for value in values],
            [value.timestamp for value in values],
            [value.scores for value in values],
            [value.logits for value in values],
        ],
    )


def _write_null_markers(results: Sequence[ImageResult], captured_at: Mapping[int, Any], job_id: int) -> None:
    """Mark captures on which a detector looked and found nothing, once per capture and detector."""
    empty = sorted(
        {
            (result.image_id, result.detector_id)
            for result in results
            if not result.detections and result.detector_id is not None
        }
    )
    if not empty:
        return
    execute(
        """INSERT INTO ml_detection (source_image_id, detection_algorithm_id, timestamp, detection_time, path,
            job_id, created_at, updated_at)
        SELECT u.*, clock_timestamp(), '', %s, clock_timestamp(), clock_timestamp()
        FROM unnest(%s::bigint[], %s::bigint[], %s::timestamptz[]) AS u
        ON CONFLICT (source_image_id, detection_algorithm_id) WHERE x1 IS NULL DO NOTHING""",
        [
            job_id,
            [image_id for image_id, _ in empty],
            [detector_id for _, detector_id in empty],
            [captured_at.get(image_id) for image_id, _ in empty],
        ],
    )


def _counts(
    results: Sequence[ImageResult],
    found: Mapping[DetectionKey, FoundDetection],
    ids: Mapping[DetectionKey, int],
    named: Mapping[ClassificationKey, FoundClassification],
) -> dict[int, SavedCounts]:
    detections = dict.fromkeys((result.image_id for result in results), 0)
    classifications = dict(detections)
    capture_of = {}
    for key in found:
        detections[key[0]] += 1
        capture_of[ids[key]] = key[0]
    for detection_id, _, _ in named:
        classifications[capture_of[detection_id]] += 1
    return {image_id: SavedCounts(detections[image_id], classifications[image_id]) for image_id in detections}

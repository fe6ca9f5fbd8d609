"""What is exported: captures in the order of their ids, each with everything that was found on it.

Two statements for some hundred captures, the second one read through a cursor in the database: what is in
memory is a few thousand rows, however many there are in all.
"""

from __future__ import annotations

import zoneinfo
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from itertools import groupby
from operator import attrgetter
from typing import Any, NamedTuple

from django.db import connection

from ami.base.database import execute, one_view, rows
from ami.jobs.exports.scope import Scope

CAPTURES_AT_ONCE = 500
DETECTIONS_AT_ONCE = 10_000
"""A step is over when it has so many, give or take a capture."""
FETCHED_AT_ONCE = 2_000

_BY_INDEX = """SET LOCAL enable_seqscan = off; SET LOCAL enable_bitmapscan = off;
SET LOCAL enable_hashjoin = off; SET LOCAL enable_mergejoin = off"""
"""What belongs to a chunk is looked up by index: other joins read a table from its beginning, each time."""


class Capture(NamedTuple):
    """A capture with its station. Captures without a station have no `station_id`."""

    id: int
    path: str
    public_base_url: str
    taken_at: datetime | None
    width: int | None
    height: int | None
    station_id: int | None
    station: str
    latitude: float | None
    longitude: float | None
    time_zone: str
    site: str
    device: str
    detections: int

    @property
    def local_time(self) -> datetime | None:
        """When it was taken, by the clock of its station."""
        return self.taken_at.astimezone(_zone(self.time_zone)) if self.taken_at else None


class Found(NamedTuple):
    """A name for a box, a box without a name (no `classification_id`), or, without a box, nothing found."""

    capture_id: int
    detection_id: int
    x1: float | None
    y1: float | None
    x2: float | None
    y2: float | None
    detected_at: datetime | None
    job_id: int | None
    pipeline: str
    classification_id: int | None
    label: str
    rank: str
    taxon_id: int | None
    gbif_key: int | None
    score: float | None
    terminal: bool | None
    classified_at: datetime | None
    detector: str
    detector_version: int | None
    classifier: str
    classifier_version: int | None

    @property
    def is_blank(self) -> bool:
        """Whether this says that the detector looked and found nothing."""
        return self.x1 is None


@dataclass(frozen=True, slots=True)
class Chunk:
    """Some captures in order; `last_id` is where the next chunk begins."""

    captures: list[Capture]
    algorithms: list[int] | None

    @property
    def last_id(self) -> int:
        """The last capture."""
        return self.captures[-1].id

    def read(self) -> Iterator[tuple[Capture, Iterator[Found]]]:
        """Each capture with what was found on it, which has to be read before the next one is asked for."""
        found = groupby(_found([capture.id for capture in self.captures], self.algorithms), _CAPTURE_ID)
        key, group = next(found, (0, iter(())))
        for capture in self.captures:
            if key == capture.id:
                yield capture, group
                key, group = next(found, (0, iter(())))
            else:
                yield capture, iter(())


_CAPTURE_ID = attrgetter("capture_id")

_CAPTURES = """
WITH chunk AS MATERIALIZED (SELECT id FROM ({scope}) AS s WHERE id > %(after)s AND id <= %(upto)s
    ORDER BY id LIMIT %(chunk)s)
SELECT c.id, c.path, c.public_base_url, c.timestamp, c.width, c.height, c.deployment_id,
    COALESCE(s.name, ''), s.latitude, s.longitude, COALESCE(s.time_zone, ''), COALESCE(place.name, ''),
    COALESCE(device.name, ''), (SELECT count(*) FROM ml_detection d WHERE d.source_image_id = c.id)
FROM chunk CROSS JOIN LATERAL (SELECT * FROM main_sourceimage i WHERE i.id = chunk.id OFFSET 0) c
LEFT JOIN main_deployment s ON s.id = c.deployment_id
LEFT JOIN main_site place ON place.id = s.research_site_id
LEFT JOIN main_device device ON device.id = s.device_id
ORDER BY c.id
"""

_FOUND = """
SELECT d.source_image_id, d.id, d.x1, d.y1, d.x2, d.y2, d.detection_time, d.job_id, COALESCE(p.slug, ''),
    n.id, COALESCE(t.name, ''), COALESCE(t.rank, ''), t.id, t.gbif_key, n.score, n.terminal, n.timestamp,
    d.detection_algorithm_id, n.algorithm_id
FROM ml_detection d
LEFT JOIN jobs_job j ON j.id = d.job_id
LEFT JOIN ml_pipeline p ON p.id = j.pipeline_id
LEFT JOIN ml_classification n ON n.detection_id = d.id AND d.x1 IS NOT NULL
    AND (%(algorithms)s::bigint[] IS NULL OR n.algorithm_id = ANY(%(algorithms)s::bigint[]))
LEFT JOIN main_taxon t ON t.id = n.taxon_id
WHERE d.source_image_id = ANY(%(captures)s::bigint[])
    AND (%(algorithms)s::bigint[] IS NULL OR d.detection_algorithm_id = ANY(%(algorithms)s::bigint[]))
    AND (d.x1 IS NOT NULL OR (SELECT max(box.x1) FROM ml_detection box
        WHERE box.source_image_id = d.source_image_id
        AND box.detection_algorithm_id = d.detection_algorithm_id) IS NULL)
ORDER BY d.source_image_id, d.id, n.id
"""


_ALGORITHMS = "SELECT id, key, version FROM ml_algorithm"


def read_chunk(scope: Scope, after: int, upto: int) -> Chunk | None:
    """The next captures after an id and up to another; None when there are none. Call inside `one_view`."""
    execute(_BY_INDEX)
    sql = _CAPTURES.format(scope=scope.sql)
    parameters = {"after": after, "upto": upto, "chunk": CAPTURES_AT_ONCE}
    captures = [Capture(*row) for row in rows(sql, scope.parameters | parameters)]
    if not captures:
        return None
    return Chunk(captures[: _enough(captures)], scope.algorithms)


def _enough(captures: list[Capture]) -> int:
    """How many captures make a step: at least one."""
    total = 0
    for position, capture in enumerate(captures, start=1):
        total += capture.detections
        if total >= DETECTIONS_AT_ONCE:
            return position
    return len(captures)


def _found(capture_ids: list[int], algorithms: list[int] | None) -> Iterator[Found]:
    known = _algorithms()
    cursor: Any = connection.chunked_cursor()
    with cursor:
        cursor.execute(_FOUND, {"captures": capture_ids, "algorithms": algorithms})
        while fetched := cursor.fetchmany(FETCHED_AT_ONCE):
            for *row, detector, namer in fetched:
                yield Found._make((*row, *known[detector], *known[namer]))


def _algorithms() -> dict[int | None, tuple[str, int | None]]:
    """Key and version of every algorithm, and nothing for none: few, and a join would lead astray."""
    nothing: dict[int | None, tuple[str, int | None]] = {None: ("", None)}
    return nothing | {key: (name, version) for key, name, version in rows(_ALGORITHMS)}


@lru_cache(maxsize=1024)
def _zone(name: str) -> zoneinfo.ZoneInfo:
    return zoneinfo.ZoneInfo(name or "UTC")


__all__ = ["Capture", "Chunk", "Found", "one_view", "read_chunk"]

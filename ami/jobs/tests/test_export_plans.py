"""A step of an export reads what it exports, and no table from its beginning."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from ami.base.database import execute, rows
from ami.jobs.exports import rows as reading
from ami.jobs.exports.scope import Scope, make_scope
from ami.jobs.tests.world import World

pytestmark = pytest.mark.integration

CAPTURES, CHUNK = 4_000, 100

_BOXES_AND_MARKERS = """
INSERT INTO ml_detection (source_image_id, detection_algorithm_id, x1, y1, x2, y2, path, created_at,
    updated_at)
SELECT c.id, %(detector)s, CASE WHEN c.id %% 2 = 0 THEN 1 END, CASE WHEN c.id %% 2 = 0 THEN 1 END,
    CASE WHEN c.id %% 2 = 0 THEN 2 END, CASE WHEN c.id %% 2 = 0 THEN 2 END, '', now(), now()
FROM main_sourceimage c WHERE c.project_id = %(project)s
"""
_LEDGER = """
INSERT INTO jobs_jobtask (job_id, image_id, position, run, status, attempt, released, reopened, worker,
    error_code, error_text, detections, classifications)
SELECT %(job)s, c.id, c.id, 1, 2, 1, 0, 0, '', '', '', 0, 0 FROM main_sourceimage c
WHERE c.project_id = %(project)s
"""

_TAKEN_FOR_EMPTY = """
UPDATE pg_class SET reltuples = 0, relpages = 1000
WHERE relname IN ('main_sourceimage', 'main_sourceimagecollection_images', 'jobs_jobtask', 'ml_detection')
"""
"""As after a vacuum of tables that were empty then."""


@pytest.fixture
def scopes(light_world: World) -> list[Scope]:
    """All kinds of scopes, over the same captures, of which every other one is blank."""
    captures = light_world.captures(CAPTURES)
    capture_set = light_world.capture_set(captures)
    job = light_world.job(source_image_collection=capture_set)
    project = light_world.project
    named = {"project": project.pk, "job": job.pk, "detector": light_world.detector.pk}
    execute(_BOXES_AND_MARKERS, named)
    execute(_LEDGER, named)
    filters: list[dict[str, int]] = [{}, {"collection_id": capture_set.pk}, {"job_id": job.pk}]
    return [make_scope(project, chosen) for chosen in filters]


@pytest.mark.parametrize("counted", [False, True])
def test_a_step_touches_what_it_exports(
    scopes: list[Scope], counted: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if counted:
        execute("ANALYZE main_sourceimage, main_sourceimagecollection_images, jobs_jobtask, ml_detection")
    else:
        execute(_TAKEN_FOR_EMPTY)
    monkeypatch.setattr(reading, "CAPTURES_AT_ONCE", CHUNK)
    execute(reading._BY_INDEX)
    # Where Postgres knows nothing of the tables it may sort the captures of a project for each step, but
    # never read a table for each capture.
    most = 20 * CHUNK if counted else 20 * CHUNK + 2 * CAPTURES
    for scope in scopes:
        (middle,) = rows(
            f"SELECT id FROM ({scope.sql}) s ORDER BY id OFFSET {CAPTURES // 2} LIMIT 1",
            scope.parameters,
        )[0]
        chunk = reading.read_chunk(scope, middle, 10**12)
        assert chunk is not None
        assert len(chunk.captures) == CHUNK
        assert sum(len(list(found)) for _, found in chunk.read()) == CHUNK
        named = {"after": middle, "upto": 10**12, "chunk": CHUNK}
        touched = rows_touched(reading._CAPTURES.format(scope=scope.sql), scope.parameters | named)
        ids = [capture.id for capture in chunk.captures]
        touched += rows_touched(reading._FOUND, {"captures": ids, "algorithms": scope.algorithms})
        assert touched < most, scope.title


def rows_touched(sql: str, parameters: dict[str, Any]) -> int:
    """Rows that all parts of the plan gave, and those that they read in vain."""
    ((plans,),) = rows(f"EXPLAIN (ANALYZE, FORMAT JSON) {sql}", parameters)
    return sum(
        int((part["Actual Rows"] + part.get("Rows Removed by Filter", 0)) * part["Actual Loops"])
        for part in parts_of(plans[0]["Plan"])
    )


def parts_of(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """A plan and all below it."""
    yield plan
    for part in plan.get("Plans", ()):
        yield from parts_of(part)

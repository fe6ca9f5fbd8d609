"""Fills a capture set: one statement makes its members those that its method and parameters say."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ami.base.database import execute, rows
from ami.main.models import SourceImageCollection
from ami.main.models.capture_set import CaptureSetMethod
from ami.main.sampling.parameters import in_force
from ami.main.sampling.statements import chosen
from ami.main.stars import star_set_id

_HOLD = "SELECT 1 FROM main_sourceimagecollection WHERE id = %s FOR NO KEY UPDATE"
_REPLACE = """
WITH wanted AS MATERIALIZED ({chosen}),
removed AS (
    DELETE FROM main_sourceimagecollection_images m WHERE m.sourceimagecollection_id = %(set)s
        AND NOT EXISTS (SELECT FROM wanted WHERE wanted.id = m.sourceimage_id)
), added AS (
    INSERT INTO main_sourceimagecollection_images (sourceimagecollection_id, sourceimage_id)
    SELECT %(set)s, id FROM wanted ON CONFLICT DO NOTHING
)
SELECT count(*) FROM wanted
"""
_NAMED = (
    "SELECT id FROM main_sourceimage WHERE project_id = %(project)s AND id = ANY(%(image_ids)s::bigint[])"
)
_COUNT = "SELECT count(*) FROM main_sourceimage WHERE project_id = %(project)s"
_EMPTY = "DELETE FROM main_sourceimagecollection_images WHERE sourceimagecollection_id = %(set)s"
_SIZE = "SELECT count(*) FROM main_sourceimagecollection_images WHERE sourceimagecollection_id = %(set)s"


def populate(capture_set: SourceImageCollection, seed: int) -> int:
    """Make a set hold what it should; how many captures that are. Call it inside a transaction.

    Safe to repeat: the same seed draws the same captures from the same ones. The set in which stars are kept
    stays as it is, and one that holds the whole project needs no rows.
    """
    if not rows(_HOLD, [capture_set.pk]):
        return 0
    stars = star_set_id(capture_set.project_id)
    named = {"set": capture_set.pk, "project": capture_set.project_id, "seed": seed, "stars": stars}
    if capture_set.holds_whole_project:
        execute(_EMPTY, named)
        return _number(_COUNT, named)
    if capture_set.pk == stars:
        return _number(_SIZE, named)
    parameters = in_force(capture_set.method, capture_set.kwargs)
    if capture_set.method == CaptureSetMethod.MANUAL:
        if "image_ids" not in parameters:
            return _number(_SIZE, named)  # its captures were chosen one by one
        return _number(_REPLACE.format(chosen=_NAMED), named | parameters)
    return _number(_REPLACE.format(chosen=chosen(capture_set.method, parameters)), named | parameters)


def _number(sql: str, named: Mapping[str, Any]) -> int:
    return int(rows(sql, named)[0][0])

"""Finds the taxon of each label, and makes the ones that no classifier named before.

Runs outside of the saving transaction: names are few, shared by all jobs, and harmless when the save that
needed them fails.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from ami.base.database import execute, rows
from ami.ml.results.items import ImageResult

_known: dict[str, int] = {}
"""Taxon ids by name, kept for the life of the process: taxa are renamed or deleted by hand and rarely."""

_KNOWN_MAX = 200_000


def resolve_taxa(results: Iterable[ImageResult]) -> Mapping[str, int]:
    """Taxon id of every label in the results, creating missing taxa with the rank that the result gave.

    Safe to run twice and side by side: a name exists once.
    """
    ranks = {
        classification.label: classification.rank
        for result in results
        for detection in result.detections
        for classification in detection.classifications
    }
    missing = sorted(label for label in ranks if label not in _known)
    if missing:
        if len(_known) > _KNOWN_MAX:
            _known.clear()
            missing = sorted(ranks)
        execute(
            """INSERT INTO main_taxon (name, rank, active, created_at, updated_at)
            SELECT name, rank, true, clock_timestamp(), clock_timestamp()
            FROM unnest(%s::text[], %s::text[]) AS u(name, rank) ON CONFLICT (name) DO NOTHING""",
            [missing, [ranks[label] for label in missing]],
        )
        _known.update(
            (row[0], row[1])
            for row in rows("SELECT name, id FROM main_taxon WHERE name = ANY(%s)", [missing])
        )
    return {label: _known[label] for label in ranks}


def forget_taxa() -> None:
    """Look every name up again; called when a save failed because a remembered taxon is gone."""
    _known.clear()

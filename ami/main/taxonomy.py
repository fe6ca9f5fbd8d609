"""The tree of taxa: what is below a name."""

from __future__ import annotations

from ami.base.database import rows

_BELOW = """
WITH RECURSIVE below AS (
    SELECT COALESCE(
        (SELECT id FROM main_taxon WHERE name = %(name)s),
        (SELECT id FROM main_taxon WHERE upper(name) = upper(%(name)s) ORDER BY id LIMIT 1)
    ) AS id
    UNION
    SELECT t.id FROM main_taxon t JOIN below b ON t.parent_id = b.id
)
SELECT id FROM below WHERE id IS NOT NULL
"""


def named_or_below(name: str) -> list[int]:
    """The taxon of this name, whatever its case, and all taxa below it; nothing if none is called so.

    `UNION` drops what it has seen: taxa that are their own ancestors end it as others do.
    """
    return [row[0] for row in rows(_BELOW, {"name": name})]

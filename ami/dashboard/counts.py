"""How much there is of something, for people: exact up to `MOST`, then "more than".

Counting ten million rows takes seconds, and nobody who looks at a list of projects waits for the last digit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ami.base.database import rows
from ami.main.models import SourceImageCollection

MOST = 100_000

_OF_EACH = """
SELECT owner.id, counted.n FROM unnest(%(ids)s::bigint[]) owner(id) CROSS JOIN LATERAL (
    SELECT count(*) AS n FROM (SELECT 1 FROM {table} r WHERE r.{key} = owner.id LIMIT %(most)s) upto
) counted
"""


@dataclass(frozen=True)
class Tally:
    """A number that may stand for "more than that"."""

    number: int

    def __str__(self) -> str:
        return f"more than {MOST:,}" if self.number > MOST else f"{self.number:,}"

    def __int__(self) -> int:
        return self.number


def captures_by_project(ids: Sequence[int]) -> dict[int, Tally]:
    """Captures of each project; one statement."""
    return _count("main_sourceimage", "project_id", ids)


def captures_by_station(ids: Sequence[int]) -> dict[int, Tally]:
    """Captures of each station; one statement."""
    return _count("main_sourceimage", "deployment_id", ids)


def captures_by_set(sets: Sequence[SourceImageCollection], project: Tally) -> dict[int, Tally]:
    """Captures of each set of a project that has so many; one statement."""
    chosen = [each.pk for each in sets if not each.holds_whole_project]
    counted = _count("main_sourceimagecollection_images", "sourceimagecollection_id", chosen)
    return {each.pk: counted.get(each.pk, project) for each in sets}


def _count(table: str, key: str, ids: Sequence[int]) -> dict[int, Tally]:
    """`table` and `key` are ours, never a stranger's."""
    if not ids:
        return {}
    found = rows(_OF_EACH.format(table=table, key=key), {"ids": list(ids), "most": MOST + 1})
    return {owner: Tally(number) for owner, number in found}

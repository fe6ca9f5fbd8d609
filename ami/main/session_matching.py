"""Which new sessions are which old ones: pure, so that the rule can be tested by itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Span:
    """From the first to the last capture of a session; `key` is its row's, 0 for one that has none yet."""

    start: datetime
    end: datetime
    key: int = 0


def match(found: Sequence[Span], known: Sequence[Span]) -> dict[int, int]:
    """Place in `found` → key of the known session that it goes on as.

    Each goes on as the one that it overlaps longest; where two ask for the same, the longer overlap wins,
    then the earlier one. Nothing is matched that does not overlap, and nothing twice. The spans of `found`
    are sorted and do not overlap each other.
    """
    pairs = sorted(_overlaps(found, known))
    taken: set[int] = set()
    matched: dict[int, int] = {}
    for _, _, key, place in pairs:
        if place not in matched and key not in taken:
            matched[place] = key
            taken.add(key)
    return matched


def _overlaps(found: Sequence[Span], known: Sequence[Span]) -> list[tuple[float, datetime, int, int]]:
    """Every pair that overlaps, so that the best comes first when they are sorted."""
    pairs = []
    first = 0
    for old in sorted(known, key=lambda span: span.start):
        while first < len(found) and found[first].end < old.start:
            first += 1
        place = first
        while place < len(found) and found[place].start <= old.end:
            shared = min(found[place].end, old.end) - max(found[place].start, old.start)
            pairs.append((-shared.total_seconds(), old.start, old.key, place))
            place += 1
    return pairs

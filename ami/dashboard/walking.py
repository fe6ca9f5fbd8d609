"""Walking through captures, ten or ten million: page by page in the order of their ids, one by one by time.

Always from where one stands (a keyset), never by counting from the start, so that the last page costs what
the first one does.
"""

from __future__ import annotations

from dataclasses import dataclass

from django.db.models import Count, Max, Min, Q, QuerySet

from ami.dashboard.scopes import Scope
from ami.main.models import SourceImage

PAGE = 48
WINDOW = 50_000
"""Captures that are looked at for one page, at most, when a filter finds few of them."""


@dataclass(frozen=True)
class Page:
    """Captures, newest first. `newer`, `older`: where to go on in that direction; None at the end."""

    captures: list[SourceImage]
    newer: int | None = None
    older: int | None = None
    looked_at: int | None = None
    """How many captures were looked at, where the page may have more room than was found in them."""


def walk(scope: Scope, conditions: list[Q], *, before: int | None = None, after: int | None = None) -> Page:
    """The page of those captures that meet the conditions: the newest, or next to an id.

    Conditions are tried on `WINDOW` captures at most.
    """
    upwards = after is not None
    above, below = after, None if upwards else before
    conditions = scope.conditions + conditions
    edge = _edge(_ordered(scope.between(above, below), upwards), upwards) if conditions else None
    if edge is not None:
        above, below = (above, edge + 1) if upwards else (edge - 1, below)
    rows = scope.between(above, below).filter(*conditions).select_related("deployment", "data_source")
    found = list(_ordered(rows, upwards)[: PAGE + 1])
    shown = found[:PAGE]
    looked_at = WINDOW if edge is not None and len(shown) < PAGE else None
    ahead = shown[-1].pk if len(found) > PAGE else edge
    if upwards:
        shown.reverse()
        return Page(shown, newer=ahead, older=shown[-1].pk if shown else after, looked_at=looked_at)
    behind = None if before is None else (shown[0].pk if shown else before - 1)
    return Page(shown, newer=behind, older=ahead, looked_at=looked_at)


def _ordered(rows: QuerySet[SourceImage], upwards: bool) -> QuerySet[SourceImage]:
    return rows.order_by("pk" if upwards else "-pk")


def _edge(rows: QuerySet[SourceImage], upwards: bool) -> int | None:
    """The id at which a window full of captures ends; None if there are fewer."""
    last = Max("pk") if upwards else Min("pk")
    seen = rows.values("pk")[:WINDOW].aggregate(last=last, n=Count("pk"))
    return seen["last"] if seen["n"] == WINDOW else None


def neighbours(scope: Scope, capture: SourceImage) -> tuple[int | None, int | None]:
    """The captures before and after one, by the time of taking; those without a time by their id."""
    at, key = capture.timestamp, capture.pk
    ids = scope.between(None, None).values_list("pk", flat=True)
    if at is None:
        ids = ids.filter(timestamp=None)
        return ids.filter(pk__lt=key).order_by("-pk").first(), ids.filter(pk__gt=key).order_by("pk").first()
    # The first half is what an index on the time can begin at, the second one settles ties.
    earlier = ids.filter(Q(timestamp__lte=at), Q(timestamp__lt=at) | Q(pk__lt=key))
    later = ids.filter(Q(timestamp__gte=at), Q(timestamp__gt=at) | Q(pk__gt=key))
    return earlier.order_by("-timestamp", "-pk").first(), later.order_by("timestamp", "pk").first()

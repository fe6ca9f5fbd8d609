"""Times, numbers and lists as people read them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

MOST_IDS = 10


def moment(at: datetime, now: datetime) -> str:
    """A time in UTC, and how far it is from `now`: `2026-06-01 22:00:05 UTC (in 5 s)`."""
    seconds = (at - now).total_seconds()
    distance = f"in {span(seconds)}" if seconds > 0 else f"{span(abs(seconds))} ago"
    return f"{at:%Y-%m-%d %H:%M:%S} UTC ({distance})"


def period(first: datetime, last: datetime, now: datetime) -> str:
    """One time, or two between which many lie."""
    if (last - first).total_seconds() < 1:
        return moment(last, now)
    return f"{moment(first, now)} to {moment(last, now)}"


def span(seconds: float) -> str:
    """A length of time in its largest whole unit: `45 s`, `12 min`, `30 h`, `4 days`."""
    for limit, size, unit in ((120, 1, "s"), (7_200, 60, "min"), (172_800, 3_600, "h")):
        if seconds < limit:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds / 86_400:.0f} days"


def number(count: int, noun: str) -> str:
    """A count with its noun: `1 image`, `1,204 images`."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def ids(some: Sequence[int], count: int) -> str:
    """The first of `count` ids, and how many more there are."""
    shown = ", ".join(map(str, some[:MOST_IDS]))
    more = count - min(len(some), MOST_IDS)
    return f"{shown} and {more:,} more" if more > 0 else shown


def capitalised(text: str) -> str:
    """With its first letter large, and all others as they are."""
    return text[:1].upper() + text[1:]

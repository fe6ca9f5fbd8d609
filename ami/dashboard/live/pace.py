"""How fast a job is, and when it will be done, as far as anybody can know.

A rate over the last minute says what workers do now, one over the whole run what they did so far. Where the
two agree the end is a time; where they do not it is a range, from the fastest to the slowest of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

SPANS = (60.0, 300.0, 1_800.0, float("inf"))
"""Seconds back from now over which a rate is taken."""
SURE = 1.3
"""Slowest and fastest differ by less than this factor: one time is named."""
LATELY = 180.0
"""Seconds without progress after which a job has no rate, and its end is unknown."""


@dataclass(frozen=True)
class Point:
    """How many images a job was done with at a moment, failed ones among them."""

    at: datetime
    done: int


@dataclass(frozen=True)
class Pace:
    """Images per second now, and the seconds that are left at the fastest and the slowest rate."""

    rate: float
    soonest: float
    latest: float

    @property
    def is_sure(self) -> bool:
        """Whether the two agree."""
        return self.latest <= self.soonest * SURE


def pace_of(points: Sequence[Point], left: int) -> Pace | None:
    """The pace of a job from its points in order of time, the last of which is now; None if there is none.

    `left`: images whose outcome is still unknown.
    """
    if len(points) < 2 or not left or _still_for(points) > LATELY:
        return None
    rates = [rate for span in SPANS if (rate := _rate(points, span)) > 0]
    if not rates:
        return None
    return Pace(rates[0], left / max(rates), left / min(rates))


def _rate(points: Sequence[Point], span: float) -> float:
    """Over the shortest stretch of points that covers the span."""
    now = points[-1]
    begin = points[0]
    for point in reversed(points[:-1]):
        if (now.at - point.at).total_seconds() >= span:
            begin = point
            break
    seconds = (now.at - begin.at).total_seconds()
    return (now.done - begin.done) / seconds if seconds > 0 else 0.0


def _still_for(points: Sequence[Point]) -> float:
    """Seconds since the last change."""
    now = points[-1]
    for point in reversed(points):
        if point.done != now.done:
            return (now.at - point.at).total_seconds()
    return (now.at - points[0].at).total_seconds()

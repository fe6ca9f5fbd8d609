"""Bars over time as SVG. Drawn here, so that a page needs no script; words say the same for the ear."""

from __future__ import annotations

from dataclasses import dataclass

from ami.dashboard.live.course import Bar, Course

WIDTH, HEIGHT = 600.0, 96.0
_GAP = 0.2
"""Between bars, as a share of a bar."""


@dataclass(frozen=True)
class Chart:
    """Two paths in a box of `WIDTH` x `HEIGHT`: what went well, and on top of it what failed."""

    processed: str
    failed: str
    highest: int
    """Images in the highest bar."""
    words: str
    course: Course
    width: float = WIDTH
    height: float = HEIGHT


def chart_of(course: Course, words: str) -> Chart:
    """The chart of a course; `words` say what it shows."""
    highest = max((bar.processed + bar.failed for bar in course.bars), default=0)
    scale = HEIGHT / highest if highest else 0.0
    step = WIDTH / len(course.bars)
    below = [_bar(number, step, 0, bar.processed * scale) for number, bar in enumerate(course.bars)]
    above = [_on_top(number, step, bar, scale) for number, bar in enumerate(course.bars)]
    return Chart("".join(below), "".join(above), highest, words, course)


def _on_top(number: int, step: float, bar: Bar, scale: float) -> str:
    return _bar(number, step, bar.processed * scale, (bar.processed + bar.failed) * scale)


def _bar(number: int, step: float, low: float, high: float) -> str:
    if high <= low:
        return ""
    left, width = step * (number + _GAP / 2), step * (1 - _GAP)
    return f"M{left:.1f} {HEIGHT - low:.1f}V{HEIGHT - high:.1f}h{width:.1f}V{HEIGHT - low:.1f}z"

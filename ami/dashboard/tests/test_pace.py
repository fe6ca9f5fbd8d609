"""How fast a job is, and when it is done: one time where rates agree, a range where they do not."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from ami.dashboard.live import words
from ami.dashboard.live.chart import HEIGHT, WIDTH, chart_of
from ami.dashboard.live.course import Bar, Course
from ami.dashboard.live.pace import LATELY, Pace, Point, pace_of

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)


def points(*pairs: tuple[float, int]) -> list[Point]:
    """Seconds after noon, and what was done by then."""
    return [Point(NOON + timedelta(seconds=seconds), done) for seconds, done in pairs]


def test_a_steady_job_has_one_time() -> None:
    pace = pace_of(points(*((15.0 * n, 150 * n) for n in range(41))), left=600)
    assert pace is not None
    assert (pace.rate, pace.soonest, pace.latest) == (10.0, 60.0, 60.0)
    assert pace.is_sure


def test_workers_that_went_make_a_range_and_the_rate_is_the_one_of_now() -> None:
    fast = [(15.0 * n, 150 * n) for n in range(41)]
    slow = [(600.0 + 15 * n, 6_000 + 15 * n) for n in range(1, 9)]
    pace = pace_of(points(*fast, *slow), left=600)
    assert pace is not None
    assert pace.rate == pytest.approx(1.0)
    assert pace.latest == pytest.approx(600.0)
    assert pace.soonest < 100
    assert not pace.is_sure


@pytest.mark.parametrize(
    "course",
    [
        pytest.param([], id="nothing-known"),
        pytest.param([(0.0, 0)], id="one-point"),
        pytest.param([(0.0, 0), (60.0, 0)], id="nothing-done"),
        pytest.param([(0.0, 0), (60.0, 60), (61.0 + LATELY, 60)], id="stands-still"),
        pytest.param([(5.0, 0), (5.0, 4)], id="no-time-passed"),
    ],
)
def test_without_progress_there_is_no_pace(course: list[tuple[float, int]]) -> None:
    assert pace_of(points(*course), left=10) is None


def test_with_nothing_left_there_is_no_pace() -> None:
    assert pace_of(points((0.0, 0), (10.0, 10)), left=0) is None


def test_a_pause_within_the_last_minute_does_not_stop_the_rate() -> None:
    pace = pace_of(points((0.0, 0), (60.0, 600), (90.0, 600)), left=100)
    assert pace is not None
    assert pace.rate == pytest.approx(600 / 90)


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0.2, "less than a second"),
        (1, "1 second"),
        (61, "1 minute 1 second"),
        (7_200, "2 hours"),
        (90_061, "1 day 1 hour"),
    ],
)
def test_durations_are_said_in_their_two_largest_units(seconds: float, said: str) -> None:
    assert words.duration(seconds) == said
    assert words.duration(timedelta(seconds=seconds)) == said


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (59, "less than a minute"),
        (60, "1 minute"),
        (89, "1 minute"),
        (3_500, "58 minutes"),
        (5_000, "83 minutes"),
        (9_000, "2 hours"),
        (100_000, "28 hours"),
        (200_000, "2 days"),
    ],
)
def test_what_nobody_knows_exactly_is_said_roughly(seconds: float, said: str) -> None:
    assert words.about(seconds) == said


@pytest.mark.parametrize(
    ("per_second", "said"),
    [(1_234.4, "1,234/s"), (3.25, "3.2/s"), (0.5, "30/min"), (0.01, "36/hour"), (0.0001, "0.4/hour")],
)
def test_rates_are_said_in_a_unit_that_can_be_pictured(per_second: float, said: str) -> None:
    assert words.rate(per_second) == said


def test_an_unsure_end_is_a_range() -> None:
    assert words.eta(Pace(1, 600, 600)) == "about 10 minutes to go"
    assert words.eta(Pace(1, 30, 30)) == "less than a minute to go"
    assert words.eta(Pace(1, 240, 720)) == "4 minutes to 12 minutes to go (workers are not steady)"


def test_bars_fill_the_box_and_failures_stand_on_top() -> None:
    course = Course(NOON, 60.0, [Bar(), Bar(processed=3, failed=1), Bar(failed=2)])
    chart = chart_of(course, "words")
    assert chart.highest == 4
    step = WIDTH / 3
    left, wide = step * 1.1, step * 0.8
    assert chart.processed == f"M{left:.1f} {HEIGHT:.1f}V{HEIGHT / 4:.1f}h{wide:.1f}V{HEIGHT:.1f}z"
    assert chart.failed.startswith(f"M{left:.1f} {HEIGHT / 4:.1f}V0.0h")
    assert chart.failed.count("M") == 2


def test_an_empty_course_draws_nothing() -> None:
    chart = chart_of(Course(NOON, 60.0, [Bar(), Bar()]), "nothing")
    assert (chart.processed, chart.failed, chart.highest) == ("", "", 0)

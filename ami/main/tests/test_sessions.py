"""Captures of a station become sessions; what comes later finds its place, and sessions stay themselves."""

from __future__ import annotations

import random
from collections.abc import Iterable
from datetime import datetime, timedelta

import pytest

from ami.main.models import Deployment, Event, SourceImage
from ami.main.sessions import Regrouped, Tally, regroup
from ami.main.tests.factories import NIGHT, make_capture, make_deployment, make_project

pytestmark = [pytest.mark.integration, pytest.mark.django_db]

GAP = 2 * 60
"""Minutes; the default of a project."""


@pytest.fixture
def station(db: None) -> Deployment:
    """A station without captures."""
    return make_deployment(make_project())


def at(station: Deployment, *minutes: int) -> list[SourceImage]:
    """Captures so many minutes after the beginning of the night."""
    return [make_capture(station, timestamp=NIGHT + timedelta(minutes=minute)) for minute in minutes]


def groups(station: Deployment) -> list[tuple[int, list[int]]]:
    """Key and minutes of each session, in order."""
    return [
        (event.pk, [minute_of(capture.timestamp) for capture in event.captures.order_by("timestamp")])
        for event in Event.objects.filter(deployment=station).order_by("start")
    ]


def minute_of(moment: datetime | None) -> int:
    """Minutes since the beginning of the night."""
    assert moment is not None
    return int((moment - NIGHT).total_seconds() // 60)


def minutes(station: Deployment) -> list[list[int]]:
    """The sessions by their minutes."""
    return [found for _, found in groups(station)]


def test_a_gap_that_is_longer_than_the_limit_begins_a_session(station: Deployment) -> None:
    at(station, 0, 60, 60 + GAP, 61 + 2 * GAP, 70 + 2 * GAP)
    assert regroup(station.pk) == Regrouped(created=2, touched=2, deleted=0, tally=Tally(5, 0, 0, 0))
    assert minutes(station) == [[0, 60, 180], [301, 310]]
    first = Event.objects.earliest("start")
    assert (first.start, first.end) == (NIGHT, NIGHT + timedelta(minutes=180))


def test_a_repetition_changes_nothing(station: Deployment) -> None:
    at(station, 0, 1, 500)
    regroup(station.pk)
    before = groups(station), list(SourceImage.objects.order_by("pk").values_list("updated_at", flat=True))
    assert regroup(station.pk) == Regrouped(created=0, touched=0, deleted=0, tally=Tally(3, 0, 0, 0))
    after = groups(station), list(SourceImage.objects.order_by("pk").values_list("updated_at", flat=True))
    assert after == before


def test_late_captures_join_the_session_of_their_time(station: Deployment) -> None:
    at(station, 0, 30, 500)
    regroup(station.pk)
    first, second = (key for key, _ in groups(station))
    at(station, 15, 560)
    done = regroup(station.pk)
    assert (done.created, done.touched, done.deleted) == (0, 2, 0)
    assert groups(station) == [(first, [0, 15, 30]), (second, [500, 560])]


def test_late_captures_that_close_a_gap_make_one_session_of_two_and_the_longer_stays(
    station: Deployment,
) -> None:
    at(station, 0, 30, 200, 300)
    regroup(station.pk)
    _, second = (key for key, _ in groups(station))
    at(station, 110)
    done = regroup(station.pk)
    assert (done.created, done.touched, done.deleted) == (0, 1, 1)
    assert groups(station) == [(second, [0, 30, 110, 200, 300])]


def test_a_shorter_limit_splits_a_session_and_its_longer_part_stays(station: Deployment) -> None:
    at(station, 0, 50, 100, 110)
    regroup(station.pk)
    [(key, _)] = groups(station)
    station.project.session_time_gap_seconds = 45 * 60
    station.project.save()
    at(station, 130)
    regroup(station.pk)
    assert groups(station)[2] == (key, [100, 110, 130])
    assert minutes(station) == [[0], [50], [100, 110, 130]]


def test_what_has_no_time_any_more_leaves_its_session_and_an_empty_session_goes(station: Deployment) -> None:
    [lost], [kept] = at(station, 0), at(station, 500)
    regroup(station.pk)
    SourceImage.objects.filter(pk=lost.pk).update(timestamp=None)
    done = regroup(station.pk)
    assert done == Regrouped(created=0, touched=0, deleted=1, tally=Tally(1, 1, 1, 0))
    assert [event.captures.get() for event in Event.objects.all()] == [kept]


def test_captures_that_moved_to_another_station_join_its_sessions(station: Deployment) -> None:
    other = make_deployment(station.project)
    moved, _ = at(station, 0, 10)
    at(other, 20)
    regroup(station.pk)
    regroup(other.pk)
    SourceImage.objects.filter(pk=moved.pk).update(deployment=other)
    for _ in range(2):
        regroup(station.pk)
        regroup(other.pk)
        assert (minutes(station), minutes(other)) == ([[10]], [[0, 20]])


def test_captures_of_the_same_moment_are_counted_as_duplicates(station: Deployment) -> None:
    at(station, 0, 0, 0, 5, 5)
    assert regroup(station.pk).tally == Tally(grouped=5, ungrouped=0, without_time=0, duplicate_times=3)


def test_other_stations_are_left_alone(station: Deployment) -> None:
    other = make_deployment(station.project)
    at(other, 0, 10)
    regroup(other.pk)
    before = groups(other)
    at(station, 5)
    regroup(station.pk)
    assert groups(other) == before


def test_a_station_without_captures_has_no_sessions(station: Deployment) -> None:
    assert regroup(station.pk) == Regrouped(0, 0, 0, Tally())
    assert regroup(0).created == 0


@pytest.mark.parametrize("seed", range(5))
def test_sessions_are_those_of_the_plain_rule_in_whatever_order_captures_come(
    station: Deployment, seed: int
) -> None:
    chance = random.Random(seed)
    all_minutes: list[int] = []
    for _ in range(4):
        new = [chance.randrange(3_000) for _ in range(chance.randrange(1, 12))]
        all_minutes += new
        at(station, *new)
        regroup(station.pk)
        assert minutes(station) == plain_rule(all_minutes)
        for event in Event.objects.filter(deployment=station):
            times = [minute_of(capture.timestamp) for capture in event.captures.all()]
            assert (minute_of(event.start), minute_of(event.end)) == (min(times), max(times))


def plain_rule(moments: Iterable[int]) -> list[list[int]]:
    """A session ends where nothing follows for longer than the gap."""
    found: list[list[int]] = []
    for moment in sorted(moments):
        if found and moment - found[-1][-1] <= GAP:
            found[-1].append(moment)
        else:
            found.append([moment])
    return found

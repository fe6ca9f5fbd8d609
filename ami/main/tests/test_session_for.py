"""A capture that comes alone has its session at once, and grouping finds nothing to change afterwards."""

from __future__ import annotations

import random
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from threading import Event as Signal
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection, transaction
from pytest_django import DjangoAssertNumQueries

from ami.base.database import rows
from ami.main import sessions
from ami.main.models import Deployment, Event, SourceImage
from ami.main.sessions import regroup, session_for
from ami.main.tests.factories import NIGHT, image_bytes, make_capture, make_deployment, make_project
from ami.main.tests.test_sessions import GAP, at, groups, minutes, plain_rule
from ami.main.uploads import upload_image
from ami.taskqueue.tests.waiting import wait_for
from ami.users.tests.factories import make_user

pytestmark = [pytest.mark.integration, pytest.mark.django_db]


@pytest.fixture
def station(db: None) -> Deployment:
    """A station without captures."""
    return make_deployment(make_project())


@transaction.atomic
def arrive(station: Deployment, minute: float) -> SourceImage:
    """A capture that was taken so many minutes after the beginning of the night comes alone."""
    moment = NIGHT + timedelta(minutes=minute)
    return make_capture(station, timestamp=moment, event_id=session_for(station.pk, moment))


def everything(station: Deployment) -> list[Any]:
    """All that grouping could change."""
    captures = SourceImage.objects.filter(deployment=station).order_by("pk")
    return [
        list(captures.values_list("pk", "event_id", "updated_at")),
        list(Event.objects.filter(deployment=station).order_by("pk").values()),
    ]


def assert_grouping_changes_nothing(station: Deployment) -> None:
    """Neither sessions nor captures."""
    before = everything(station)
    done = regroup(station.pk)
    assert (done.created, done.touched, done.deleted, done.tally.ungrouped) == (0, 0, 0, 0)
    assert everything(station) == before


@pytest.mark.parametrize("seed", range(12))
def test_whatever_the_order_the_sessions_are_those_that_grouping_finds(
    station: Deployment, seed: int
) -> None:
    chance = random.Random(seed)
    # Multiples of a third of the limit: distances of exactly the limit, and equal times, are frequent.
    moments = [chance.randrange(60) * GAP // 3 for _ in range(40)]
    for number, moment in enumerate(moments, start=1):
        arrive(station, moment)
        if number % 10 == 0:
            assert minutes(station) == plain_rule(moments[:number])
            assert_grouping_changes_nothing(station)


@pytest.mark.parametrize("seed", range(4))
def test_captures_that_come_alone_and_together_end_in_the_same_sessions(
    station: Deployment, seed: int
) -> None:
    chance = random.Random(seed)
    moments: list[int] = []
    for _ in range(6):
        together, alone = ([chance.randrange(3_000) for _ in range(chance.randrange(8))] for _ in range(2))
        moments += together + alone
        at(station, *together)
        if chance.random() < 0.5:
            regroup(station.pk)
        for minute in alone:
            arrive(station, minute)
        regroup(station.pk)
        assert minutes(station) == plain_rule(moments)
        assert_grouping_changes_nothing(station)


def test_the_limit_itself_is_no_gap_and_a_moment_more_is(station: Deployment) -> None:
    first, last = arrive(station, 0), arrive(station, GAP)
    beyond = arrive(station, 2 * GAP + 1 / 60_000_000)
    assert first.event_id == last.event_id != beyond.event_id
    assert_grouping_changes_nothing(station)


def test_midnight_ends_no_session(station: Deployment) -> None:
    before, after = arrive(station, 119), arrive(station, 121)  # the night begins at 22:00
    assert before.event_id == after.event_id
    assert Event.objects.get().date_label == "Jun 1-2, 2026"


def test_a_capture_between_two_sessions_unites_them_and_the_longer_one_stays(station: Deployment) -> None:
    arrive(station, 0)
    for minute in (200, 300):
        longer = arrive(station, minute).event_id
    assert Event.objects.count() == 2
    arrive(station, 100)
    assert groups(station) == [(longer, [0, 100, 200, 300])]
    assert_grouping_changes_nothing(station)


def test_a_session_that_is_united_takes_captures_along_that_wait_to_be_assigned(station: Deployment) -> None:
    at(station, 0, 200)
    planned = sessions.plan(station.pk)
    arrive(station, 100)
    assert minutes(station) == [[0, 100, 200]]
    assert sessions.assign(station.pk, 0, planned.at) is not None
    assert_grouping_changes_nothing(station)


def test_other_stations_and_what_was_never_grouped_are_left_alone(station: Deployment) -> None:
    other = make_deployment(station.project)
    arrive(other, 0)
    [waiting] = at(station, 1)
    before = everything(other)
    alone = arrive(station, 2)
    waiting.refresh_from_db()
    assert everything(other) == before
    assert (waiting.event_id, Event.objects.get(deployment=station).pk) == (None, alone.event_id)
    regroup(station.pk)
    assert groups(station) == [(alone.event_id, [1, 2])]


def test_without_a_time_or_without_a_station_there_is_no_session(station: Deployment) -> None:
    assert session_for(station.pk, None) is None
    assert session_for(0, NIGHT) is None
    assert not Event.objects.exists()


@pytest.mark.parametrize("year", [1, 9999])
def test_times_at_the_ends_of_the_calendar_are_times_like_others(station: Deployment, year: int) -> None:
    for minute in (0, 1):
        assert session_for(station.pk, datetime(year, 1, 1, 0, minute, tzinfo=UTC)) is not None


def test_it_costs_the_same_however_many_sessions_there_are(
    station: Deployment, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    for night in range(5):
        arrive(station, night * 1_440)
    with django_assert_num_queries(3):  # limit, neighbours, stretch
        session_for(station.pk, NIGHT + timedelta(minutes=2 * 1_440 + 30))


def test_an_upload_is_in_a_session(station: Deployment, media: Path) -> None:
    def upload(taken: str) -> SourceImage | None:
        file = SimpleUploadedFile(f"{taken}.jpg", image_bytes(), "image/jpeg")
        return upload_image(deployment=station, file=file, user=make_user()).source_image

    first, second, next_night = map(upload, ("20260601220000", "20260601223000", "20260602220000"))
    assert first is not None
    assert second is not None
    assert next_night is not None
    assert first.event_id == second.event_id != next_night.event_id
    assert first.event is not None
    assert first.event.duration == timedelta(minutes=30)
    assert_grouping_changes_nothing(station)


@pytest.mark.django_db(transaction=True)
def test_two_captures_of_one_moment_make_one_session(station: Deployment) -> None:
    stored, go_on = Signal(), Signal()

    def first() -> None:
        with transaction.atomic():
            arrive(station, 0)
            stored.set()
            go_on.wait(10)

    with ThreadPoolExecutor(2) as pool:
        one = pool.submit(closing(first))
        assert stored.wait(10)
        two = pool.submit(closing(lambda: arrive(station, 1)))
        wait_for(lambda: bool(rows("SELECT 1 FROM pg_locks WHERE NOT granted")))
        go_on.set()
        for each in (one, two):
            each.result(10)
    assert minutes(station) == [[0, 1]]
    assert_grouping_changes_nothing(station)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("seed", range(3))
def test_many_at_once_while_the_station_is_grouped_end_in_the_plain_rule(
    station: Deployment, seed: int
) -> None:
    chance = random.Random(seed)
    moments = [chance.randrange(40) * GAP // 3 for _ in range(60)]
    at(station, *moments[:20])

    def some(part: int) -> None:
        for minute in moments[20 + part :: 3]:
            arrive(station, minute)

    with ThreadPoolExecutor(4) as pool:
        runs = [pool.submit(closing(partial(some, part))) for part in range(3)]
        runs.append(pool.submit(closing(lambda: [regroup(station.pk) for _ in range(5)])))
        for run in runs:
            run.result(60)
    regroup(station.pk)
    assert minutes(station) == plain_rule(moments)
    assert_grouping_changes_nothing(station)


def closing(work: Callable[[], Any]) -> Callable[[], Any]:
    """The same in a thread, whose connection is closed afterwards."""

    def run() -> Any:
        try:
            return work()
        finally:
            connection.close()

    return run

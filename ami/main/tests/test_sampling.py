"""Each way to fill a capture set, against the same rule written in plain Python."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from ami.main.models import Deployment, Project, Site, SourceImage, SourceImageCollection
from ami.main.sampling.populate import populate
from ami.main.sessions import regroup
from ami.main.stars import star
from ami.main.tests.factories import NIGHT, make_capture, make_deployment, make_project
from ami.ml.models import Algorithm, Detection

pytestmark = [pytest.mark.integration, pytest.mark.django_db]

Captures = list[SourceImage]


@dataclass
class Field:
    """Two stations under different suns, a few nights each, and odd captures among them."""

    project: Project
    stations: list[Deployment]
    site: Site

    @property
    def captures(self) -> Captures:
        """All of them, in order of time; those without one last."""
        found = SourceImage.objects.filter(project=self.project).select_related("deployment")
        return sorted(found, key=in_time)

    def filled(self, method: str, seed: int = 1, **parameters: Any) -> set[int]:
        """What a new set holds."""
        capture_set = SourceImageCollection.objects.create(
            project=self.project, name="S", method=method, kwargs=parameters
        )
        count = populate(capture_set, seed)
        held = set(capture_set.images.values_list("pk", flat=True))
        assert count == len(held)
        return held


@pytest.fixture
def field(db: None) -> Field:
    """About a hundred captures."""
    project = make_project()
    site = Site.objects.create(project=project, name="Hill")
    stations = [
        make_deployment(project, time_zone="America/Panama", research_site=site),
        make_deployment(project, time_zone=""),
    ]
    chance = random.Random(7)
    for station in stations:
        for night in (0, 1, 40, 200):
            for _ in range(12):
                moment = NIGHT + timedelta(days=night, seconds=chance.randrange(6 * 3600))
                make_capture(station, timestamp=moment, size=chance.choice([None, 10, 20, 30]))
        make_capture(station, timestamp=None)
        regroup(station.pk)
    make_capture(make_deployment(make_project()))
    return Field(project, stations, site)


def ids(captures: Iterable[SourceImage]) -> set[int]:
    """Their keys."""
    return {capture.pk for capture in captures}


def in_time(capture: SourceImage) -> tuple[bool, datetime, int]:
    """The order of time; without one, last."""
    return capture.timestamp is None, capture.timestamp or NIGHT, capture.pk


def by(captures: Iterable[SourceImage], key: Callable[[SourceImage], Any]) -> dict[Any, Captures]:
    """Captures in groups."""
    found: dict[Any, Captures] = defaultdict(list)
    for capture in captures:
        found[key(capture)].append(capture)
    return found


def by_event(field: Field) -> list[Captures]:
    """The captures of each session, in order of time."""
    return list(by((c for c in field.captures if c.event_id), lambda c: c.event_id).values())


def local(capture: SourceImage) -> datetime:
    """The time on the station's clock."""
    assert capture.timestamp is not None
    assert capture.deployment is not None
    return capture.timestamp.astimezone(ZoneInfo(capture.deployment.time_zone or "UTC"))


def timed(field: Field) -> Captures:
    """Captures with a time."""
    return [capture for capture in field.captures if capture.timestamp]


def test_full_with_parameters_holds_what_fulfils_them(field: Field) -> None:
    station = field.stations[0]
    events = [captures[0].event_id for captures in by_event(field)[:2]]
    expected: dict[str, tuple[dict[str, Any], Callable[[SourceImage], bool]]] = {
        "station": ({"deployment_ids": [station.pk]}, lambda c: c.deployment_id == station.pk),
        "site": ({"research_site_ids": [field.site.pk]}, lambda c: c.deployment_id == station.pk),
        "session": ({"event_ids": events}, lambda c: c.event_id in events),
    }
    for parameters, rule in expected.values():
        assert field.filled("full", **parameters) == ids(filter(rule, field.captures))


@pytest.mark.parametrize(
    ("parameters", "rule"),
    [
        ({"date_start": "2026-06-02"}, lambda t: t.date().isoformat() >= "2026-06-02"),
        ({"date_end": "2026-06-02"}, lambda t: t.date().isoformat() <= "2026-06-02"),
        (
            {"date_start": "2026-06-02", "date_end": "2026-06-03"},
            lambda t: "2026-06-02" <= t.date().isoformat() <= "2026-06-03",
        ),
        ({"month_start": 7}, lambda t: t.month >= 7),
        ({"month_end": 6}, lambda t: t.month <= 6),
        ({"month_start": 12, "month_end": 6}, lambda t: t.month == 12 or t.month <= 6),
        ({"hour_start": 18, "hour_end": 19}, lambda t: t.hour in (18, 19)),
        ({"hour_start": 23, "hour_end": 1}, lambda t: t.hour in (23, 0, 1)),
        ({"hour_start": 23}, lambda t: t.hour == 23),
        ({"hour_end": 0, "month_start": None}, lambda t: t.hour == 0),
    ],
)
def test_days_months_and_hours_are_those_of_the_station_and_hours_go_over_midnight(
    field: Field, parameters: dict[str, Any], rule: Callable[[datetime], bool]
) -> None:
    expected = ids(c for c in timed(field) if rule(local(c)))
    assert expected
    assert field.filled("full", **parameters) == expected


def test_random_draws_as_many_as_asked_and_the_same_for_the_same_seed(field: Field) -> None:
    first = field.filled("random", size=20)
    assert len(first) == 20
    assert first <= ids(field.captures)
    assert field.filled("random", size=20) == first
    assert field.filled("random", seed=2, size=20) != first
    assert field.filled("random") == ids(field.captures), "a hundred, if there are so many"


def test_stratified_random_takes_nearly_the_same_from_each_session(field: Field) -> None:
    chosen = field.filled("stratified_random", size=20)
    assert len(chosen) == 20
    groups = by(field.captures, lambda c: c.event_id or f"none {c.deployment_id}")
    counts = [(len(ids(group) & chosen), len(group)) for group in groups.values()]
    most = max(taken for taken, _ in counts)
    assert all(taken in (most, most - 1) or taken == size for taken, size in counts)


def test_interval_takes_the_first_of_each_stretch_of_each_station(field: Field) -> None:
    def stretches(captures: Iterable[SourceImage], minutes: int) -> set[int]:
        groups = by(captures, lambda c: (c.deployment_id, local(c).timestamp() // (60 * minutes)))
        return ids(min(group, key=in_time) for group in groups.values())

    assert field.filled("interval", minute_interval=45) == stretches(timed(field), 45)
    assert field.filled("interval") == stretches(timed(field), 10)
    left_out = by_event(field)[0][0].event_id
    station = field.stations[1]
    rest = [c for c in timed(field) if c.event_id != left_out]
    assert field.filled("interval", exclude_events=[left_out]) == stretches(rest, 10)
    own = [c for c in timed(field) if c.deployment_id == station.pk]
    assert field.filled("interval", deployment_id=station.pk) == stretches(own, 10)


def test_random_from_each_event(field: Field) -> None:
    chosen = field.filled("random_from_each_event", num_each=5)
    assert [len(ids(group) & chosen) for group in by_event(field)] == [
        min(5, len(g)) for g in by_event(field)
    ]
    assert not chosen & ids(c for c in field.captures if c.event_id is None)
    assert field.filled("random_from_each_event", num_each=5) == chosen


def test_last_and_random_from_each_event(field: Field) -> None:
    chosen = field.filled("last_and_random_from_each_event", num_each=2)
    for group in by_event(field):
        assert group[-1].pk in chosen
        assert len(ids(group) & chosen) == min(3, len(group))


def test_greatest_file_size_from_each_event(field: Field) -> None:
    def largest(group: Captures, count: int) -> Captures:
        return sorted(group, key=lambda c: (-(c.size if c.size is not None else -1), c.pk))[:count]

    for count in (1, 3):
        expected = [capture for group in by_event(field) for capture in largest(group, count)]
        assert field.filled("greatest_file_size_from_each_event", num_each=count) == ids(expected)


@pytest.mark.parametrize("position", [0, 3, -1, -4, 500, -500])
def test_positional_takes_the_one_at_a_place_in_each_session(field: Field, position: int) -> None:
    expected = [group[position] for group in by_event(field) if -len(group) <= position < len(group)]
    assert field.filled("positional", position=position) == ids(expected)


def test_nth_takes_every_nth_of_each_station(field: Field) -> None:
    for step in (1, 7):
        groups = by(field.captures, lambda c: c.deployment_id).values()
        assert field.filled("nth", nth=step) == ids(c for group in groups for c in group[::step])


def test_detections_only_takes_what_has_a_box(field: Field) -> None:
    found, empty, *_ = field.captures
    finder = Algorithm.objects.create(name="F", key="f")
    Detection.objects.create(source_image=found, detection_algorithm=finder, x1=1, y1=1, x2=2, y2=2)
    Detection.objects.create(source_image=empty, detection_algorithm=finder)
    assert field.filled("detections_only") == {found.pk}


def test_starred_takes_what_people_starred_and_leaves_the_stars_alone(field: Field) -> None:
    first, second, *_ = field.captures
    for capture in (first, second):
        key, _ = star(capture)
    stars = SourceImageCollection.objects.get(pk=key)
    assert field.filled("starred") == {first.pk, second.pk}
    assert field.filled("starred", max_num=1) == {first.pk}
    assert populate(stars, 1) == 2
    assert stars.images.count() == 2


def test_manual_takes_what_is_named_and_keeps_what_was_chosen_one_by_one(field: Field) -> None:
    first, second, *_ = field.captures
    assert field.filled("manual", image_ids=[first.pk, 10**9]) == {first.pk}
    chosen = SourceImageCollection.objects.create(project=field.project, name="M", method="manual")
    chosen.images.add(second)
    assert populate(chosen, 1) == 1
    assert chosen.images.get() == second


def test_full_without_parameters_holds_everything_without_a_row(field: Field) -> None:
    capture_set = SourceImageCollection.objects.create(project=field.project, name="All")
    capture_set.images.add(field.captures[0])
    assert populate(capture_set, 1) == len(field.captures)
    assert capture_set.images.count() == 0


def test_common_parameters_narrow_every_method(field: Field) -> None:
    late = [c for c in timed(field) if local(c).hour >= 20]
    first = ids(sorted(late, key=in_time)[:5])
    assert field.filled("full", hour_start=20, max_num=5) == first
    some = field.filled("full", hour_start=20, max_num=5, shuffle=True)
    assert len(some) == 5
    assert some <= ids(late)
    thinned = by(late, lambda c: (c.deployment_id, local(c).timestamp() // 3600))
    expected = ids(min(group, key=in_time) for group in thinned.values())
    assert field.filled("full", hour_start=20, minute_interval=60) == expected


def test_combined_parameters_all_hold_at_once(field: Field) -> None:
    parameters = {"hour_start": 20, "hour_end": 2, "num_each": 3}
    night = [c for c in timed(field) if local(c).hour >= 20 or local(c).hour <= 2]
    chosen = field.filled("common_combined", **parameters)
    assert chosen <= ids(night)
    groups = by((c for c in night if c.event_id), lambda c: c.event_id)
    assert len(chosen) == sum(min(3, len(group)) for group in groups.values())
    for bounds in ({"size": 4}, {"size": 9, "max_num": 4}, {"size": 4, "max_num": 9}):
        fewer = field.filled("common_combined", **parameters, **bounds)
        assert len(fewer) == 4
        assert fewer <= chosen


def test_filling_again_replaces_what_was_there(field: Field) -> None:
    capture_set = SourceImageCollection.objects.create(
        project=field.project, name="S", method="random", kwargs={"size": 20}
    )
    populate(capture_set, 1)
    first = ids(capture_set.images.all())
    populate(capture_set, 2)
    second = ids(capture_set.images.all())
    assert len(second) == 20
    assert first != second
    capture_set.kwargs = {"size": 3}
    assert populate(capture_set, 1) == 3
    assert ids(capture_set.images.all()) <= first

"""Jobs that group captures and fill capture sets: exact figures, crashes, repetition."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from ami.base.errors import InvalidInput
from ami.jobs.lifecycle.create import create_job
from ami.jobs.lifecycle.dispatch import dispatch_job
from ami.jobs.lifecycle.enqueue import run_job
from ami.jobs.lifecycle.retry import retry_job
from ami.jobs.models import Job
from ami.jobs.tests.faults import carried_on, killed_at, lose_claims
from ami.jobs.tests.world import World
from ami.main import sessions
from ami.main.models import Event, SourceImage, SourceImageCollection

pytestmark = pytest.mark.integration

NIGHT = datetime(2026, 6, 1, 22, tzinfo=UTC)


def taken(world: World, *minutes: int) -> list[SourceImage]:
    """Captures so many minutes after the beginning of the night."""
    captures = world.captures(len(minutes))
    for capture, minute in zip(captures, minutes, strict=True):
        SourceImage.objects.filter(pk=capture.pk).update(timestamp=NIGHT + timedelta(minutes=minute))
    return captures


def submitted(world: World, key: str, **fields: Any) -> Job:
    """A job of this type, on its way."""
    job = create_job(name="Job", project=world.project, job_type_key=key, **fields)
    run_job(job)
    return job


def grouped(world: World) -> Job:
    """A job that grouped the captures of the world's station."""
    job: Job = carried_on(submitted(world, "regroup_events", deployment=world.deployment))
    assert job.status == "SUCCESS"
    return job


def test_captures_are_grouped_with_exact_figures(light_world: World) -> None:
    taken(light_world, 0, 0, 30, 600)
    light_world.captures(1, timestamp=None)
    job = grouped(light_world)
    assert light_world.figures(job) == {
        "captures_grouped": 4,
        "events_created": 2,
        "events_touched": 2,
        "empty_events_deleted": 0,
        "duplicate_timestamps": 1,
        "ungrouped_captures": 1,
        "captures_missing_timestamp": 1,
    }
    [stage] = job.stages.all()
    assert (stage.key, stage.status, stage.progress) == ("regroup_events", "SUCCESS", 1.0)


def test_late_captures_are_grouped_by_the_next_job_and_sessions_stay_themselves(light_world: World) -> None:
    taken(light_world, 0, 30, 600)
    grouped(light_world)
    before = list(Event.objects.order_by("start").values_list("pk", flat=True))
    taken(light_world, 15, 660, 2_000)
    figures = light_world.figures(grouped(light_world))
    assert (figures["events_created"], figures["events_touched"], figures["captures_grouped"]) == (1, 3, 6)
    assert list(Event.objects.order_by("start").values_list("pk", flat=True))[:2] == before
    again = light_world.figures(grouped(light_world))
    assert (again["events_created"], again["events_touched"], again["captures_grouped"]) == (0, 0, 6)


@pytest.mark.parametrize("point", ["work.before_commit", "work.after_commit"])
@pytest.mark.parametrize("deaths", [1, 3])
def test_grouping_that_dies_goes_on_with_the_same_figures(
    world: World, monkeypatch: pytest.MonkeyPatch, point: str, deaths: int
) -> None:
    monkeypatch.setattr(sessions, "ASSIGN_AT_ONCE", 1)
    taken(world, 0, 30, 600, 1_200)
    job = submitted(world, "regroup_events", deployment=world.deployment)
    for _ in range(deaths):
        killed_at(point, lambda: dispatch_job(job.pk))
        lose_claims()
    assert carried_on(job).status == "SUCCESS"
    figures = world.figures(job)
    assert (figures["events_created"], figures["events_touched"], figures["captures_grouped"]) == (3, 3, 4)
    assert Event.objects.filter(deployment=world.deployment).count() == 3


def test_a_job_without_a_station_is_refused(light_world: World) -> None:
    with pytest.raises(InvalidInput, match="names no deployment"):
        submitted(light_world, "regroup_events")


def make_set(world: World, method: str, **parameters: Any) -> SourceImageCollection:
    """A set of the world's project."""
    return SourceImageCollection.objects.create(
        project=world.project, name="S", method=method, kwargs=parameters
    )


def held(capture_set: SourceImageCollection) -> set[int]:
    """What a set holds."""
    return set(capture_set.images.values_list("pk", flat=True))


def test_a_set_is_filled_and_the_job_says_how_many_it_holds(light_world: World) -> None:
    light_world.captures(20)
    capture_set = make_set(light_world, "random", size=7)
    job = carried_on(
        submitted(light_world, "populate_captures_collection", source_image_collection=capture_set)
    )
    assert (job.status, light_world.figures(job)) == ("SUCCESS", {"captures_added": 7})
    assert len(held(capture_set)) == 7
    first = held(capture_set)
    retry_job(job)
    carried_on(job)
    assert len(held(capture_set)) == 7
    assert held(capture_set) != first, "another run draws anew"


@pytest.mark.parametrize(("point", "first"), [("work.before_commit", False), ("work.after_commit", True)])
def test_filling_that_dies_is_done_exactly_once(world: World, point: str, first: bool) -> None:
    world.captures(50)
    capture_set = make_set(world, "random", size=20)
    capture_set.images.set(world.captures(3))
    old = held(capture_set)
    job = submitted(world, "populate_captures_collection", source_image_collection=capture_set)
    killed_at(point, lambda: dispatch_job(job.pk))
    between = held(capture_set)
    assert (between == old) is not first
    assert carried_on(job).status == "SUCCESS"
    assert len(held(capture_set)) == 20
    assert world.figures(job) == {"captures_added": 20}
    if first:
        assert held(capture_set) == between, "the same draw"


def test_a_set_that_is_deleted_before_it_is_filled_fails_the_job(light_world: World) -> None:
    capture_set = make_set(light_world, "random")
    job = submitted(light_world, "populate_captures_collection", source_image_collection=capture_set)
    capture_set.delete()
    assert carried_on(job).status == "FAILURE"


def test_parameters_from_before_the_rules_fail_with_a_sentence(light_world: World) -> None:
    capture_set = make_set(light_world, "random", size="many")
    with pytest.raises(InvalidInput, match="'size' is a whole number"):
        submitted(light_world, "populate_captures_collection", source_image_collection=capture_set)

"""Samples: the course of a job is kept while something changes, finely for a day and coarsely after."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from ami.base import clock
from ami.jobs.health.samples import COARSE_SECONDS, check_samples
from ami.jobs.lifecycle import samples
from ami.jobs.lifecycle.samples import note_sample
from ami.jobs.models import Job, JobSample
from ami.jobs.progress import Counts
from ami.jobs.tests.world import World

pytestmark = pytest.mark.integration


def course(job: Job) -> list[tuple[int, int, int]]:
    """What was kept, in order."""
    return list(JobSample.objects.filter(job=job).order_by("pk").values_list("processed", "failed", "left"))


def add(job: Job, at: datetime, processed: int = 0) -> JobSample:
    """A sample of another time."""
    return JobSample.objects.create(job=job, at=at, processed=processed, failed=0, left=9)


def test_a_job_keeps_its_beginning_and_its_end(light_world: World) -> None:
    job = light_world.started_job(3)
    light_world.post(job, [light_world.success(task) for task in light_world.reserve(job)])
    light_world.background.run()
    assert course(job) == [(0, 0, 3), (3, 0, 0)]


def test_a_sample_is_kept_once_in_a_while(light_world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    job = light_world.started_job(3)
    note_sample(job.pk, Counts(total=3, pending=2, processed=1))
    assert course(job) == [(0, 0, 3)]
    monkeypatch.setattr(samples, "GAP_SECONDS", 0.0)
    for _ in range(2):
        note_sample(job.pk, Counts(total=3, pending=2, processed=1))
    assert course(job) == [(0, 0, 3), (1, 0, 2)]


def test_a_job_that_waits_adds_nothing(light_world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(samples, "GAP_SECONDS", 0.0)
    job = light_world.started_job(3)
    for _ in range(5):
        note_sample(job.pk, Counts(total=3, pending=3))
    assert course(job) == [(0, 0, 3)]


def test_after_a_day_one_sample_in_ten_minutes_is_left_and_nothing_of_the_rate_is_lost(
    light_world: World,
) -> None:
    job = light_world.started_job(1)
    block = clock.now() - timedelta(days=2)
    start = datetime.fromtimestamp(block.timestamp() // COARSE_SECONDS * COARSE_SECONDS, tz=block.tzinfo)
    old = [add(job, start + timedelta(minutes=minute), minute) for minute in range(25)]
    young = JobSample.objects.exclude(pk__in=[each.pk for each in old]).count()
    assert check_samples(dry_run=True).fixed == 22
    assert JobSample.objects.count() == 25 + young
    assert check_samples().fixed == 22
    kept = JobSample.objects.filter(pk__in=[each.pk for each in old]).order_by("at")
    assert list(kept.values_list("processed", flat=True)) == [9, 19, 24]
    assert JobSample.objects.count() == 3 + young
    assert check_samples().fixed == 0


def test_samples_are_forgotten_in_time(light_world: World) -> None:
    job = light_world.started_job(1)
    before = course(job)
    add(job, clock.now() - timedelta(days=31), 7)
    add(job, clock.now() - timedelta(days=29), 8)
    assert check_samples().fixed == 1
    assert sorted(course(job)) == sorted([*before, (8, 0, 9)])


def test_samples_go_with_their_job(light_world: World) -> None:
    job = light_world.started_job(1)
    job.delete()
    assert not JobSample.objects.exists()

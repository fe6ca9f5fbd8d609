"""What was done when, from the samples of jobs."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from ami.dashboard.live.course import course_of_job, course_of_projects, points_of
from ami.jobs.models import Job, JobSample
from ami.jobs.tests.world import World

pytestmark = pytest.mark.integration
NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)


def sampled(world: World, *course: tuple[float, int, int], started: datetime = NOON) -> Job:
    """A job that started then, with samples of (seconds later, processed, failed)."""
    job = world.job(1)
    JobSample.objects.bulk_create(
        JobSample(
            job=job, at=started + timedelta(seconds=seconds), processed=processed, failed=failed, left=9
        )
        for seconds, processed, failed in course
    )
    Job.objects.filter(pk=job.pk).update(started_at=started)
    job.refresh_from_db()
    return job


def test_a_bar_holds_what_was_done_in_its_minute(light_world: World) -> None:
    sampled(light_world, (1, 0, 0), (30, 10, 0), (59, 20, 1), (70, 25, 1), (200, 25, 4))
    course = course_of_projects([light_world.project.pk], NOON + timedelta(seconds=230), minutes=4)
    assert [(bar.processed, bar.failed) for bar in course.bars] == [(20, 1), (5, 0), (0, 0), (0, 3)]
    assert (course.since, course.until) == (NOON, NOON + timedelta(minutes=4))
    assert (course.processed, course.failed) == (25, 4)


def test_jobs_add_up_and_other_projects_do_not_count(light_world: World) -> None:
    for _ in range(2):
        sampled(light_world, (1, 0, 0), (30, 10, 0))
    end = NOON + timedelta(seconds=50)
    assert course_of_projects([light_world.project.pk], end).processed == 20
    assert course_of_projects([light_world.project.pk + 1], end).processed == 0
    assert course_of_projects([], end).processed == 0


def test_what_was_done_before_the_window_is_not_counted_in_it(light_world: World) -> None:
    sampled(light_world, (0, 0, 0), (100, 500, 0), (185, 510, 0))
    course = course_of_projects([light_world.project.pk], NOON + timedelta(seconds=190), minutes=2)
    assert [bar.processed for bar in course.bars] == [0, 10]
    sampled(light_world, (0, 0, 0), (100, 500, 0), (110, 510, 0), (125, 530, 0))
    course = course_of_projects([light_world.project.pk], NOON + timedelta(seconds=190), minutes=2)
    assert [bar.processed for bar in course.bars] == [20, 10]


def test_a_retry_takes_nothing_off(light_world: World) -> None:
    sampled(light_world, (1, 5, 5), (20, 5, 0), (40, 9, 1))
    course = course_of_projects([light_world.project.pk], NOON + timedelta(seconds=50), minutes=1)
    assert [(bar.processed, bar.failed) for bar in course.bars] == [(4, 1)]


def test_a_job_has_at_most_sixty_bars_however_long_it_runs(light_world: World) -> None:
    job = sampled(light_world, (1, 0, 0), (3_000, 10, 0), (86_000, 30, 0))
    course = course_of_job(job, NOON + timedelta(seconds=86_400))
    assert course is not None
    assert len(course.bars) in {60, 61}
    assert course.processed == 30
    short = sampled(light_world, (1, 0, 0), (20, 10, 0))
    course = course_of_job(short, NOON + timedelta(seconds=25))
    assert course is not None
    assert [bar.processed for bar in course.bars] == [0, 10]


def test_the_end_of_a_job_is_in_its_course(light_world: World) -> None:
    job = sampled(light_world, (1, 0, 0), (16, 10, 0), (30.4, 30, 0))
    Job.objects.filter(pk=job.pk).update(finished_at=NOON + timedelta(seconds=30))
    job.refresh_from_db()
    course = course_of_job(job, NOON + timedelta(days=1))
    assert course is not None
    assert course.processed == 30


def test_a_job_that_did_not_start_has_no_course(light_world: World) -> None:
    job = light_world.job(1)
    assert course_of_job(job, NOON) is None
    assert points_of(job) == []


def test_points_are_those_of_the_run(light_world: World) -> None:
    job = sampled(light_world, (-500, 4, 4), (1, 4, 0), (20, 9, 1))
    assert [point.done for point in points_of(job)] == [4, 10]

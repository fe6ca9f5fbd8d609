"""stalled jobs: what has nothing left to do ends, what cannot go on says why, and waiting is no fault."""

from __future__ import annotations

from datetime import timedelta

import pytest

from ami.base import clock
from ami.base.database import execute
from ami.jobs.health.report import Report
from ami.jobs.health.runner import run_all
from ami.jobs.health.stalled import check_stalled
from ami.jobs.lifecycle.cancel import cancel_job
from ami.jobs.models import Job, JobLog
from ami.jobs.tests.world import World
from ami.ml.models import ProcessingService

pytestmark = pytest.mark.integration


def service(world: World, *, silent_for: timedelta = timedelta()) -> ProcessingService:
    """A pull service for the pipeline of the world."""
    made = ProcessingService.objects.create(
        name="GPUs", last_seen=clock.now() - silent_for, last_seen_live=True
    )
    made.projects.add(world.project)
    made.pipelines.add(world.pipeline)
    return made


def test_a_job_with_nothing_open_that_nobody_closed_is_closed(light_world: World) -> None:
    job = light_world.started_job(2)
    tasks = light_world.reserve(job)
    light_world.post(job, [light_world.success(task) for task in tasks])
    light_world.background.run("save")
    execute("UPDATE jobs_job SET status = 'STARTED', finished_at = NULL WHERE id = %s", [job.pk])
    light_world.background.asked.clear()
    assert check_stalled(dry_run=True) == Report(checked=1, fixed=1)
    assert check_stalled() == Report(checked=1, fixed=1)
    job.refresh_from_db()
    assert (job.status, light_world.standing(job)) == ("SUCCESS", None)
    assert check_stalled() == Report()


def test_a_job_whose_pipeline_is_gone_ends_and_says_why(light_world: World) -> None:
    job = light_world.started_job(2)
    Job.objects.filter(pk=job.pk).update(pipeline=None)
    assert check_stalled() == Report(checked=1, fixed=1)
    job.refresh_from_db()
    assert (job.status, light_world.tally(job)) == ("REVOKED", {"cancelled": 2})
    assert JobLog.objects.filter(job=job, message__contains="its pipeline was deleted").exists()


def test_pending_images_of_an_ended_job_are_cancelled_and_reported(light_world: World) -> None:
    job = light_world.started_job(3)
    cancel_job(job.pk)
    execute("UPDATE jobs_jobtask SET status = 0 WHERE job_id = %s AND position < 3", [job.pk])
    assert check_stalled() == Report(checked=1, fixed=1)
    job.refresh_from_db()
    assert (job.status, light_world.tally(job)) == ("REVOKED", {"cancelled": 3})
    assert job.diagnostics == ["2 images were still pending after the job had ended, and are cancelled."]
    assert JobLog.objects.filter(job=job, level="ERROR").count() == 1
    assert check_stalled() == Report()


@pytest.mark.parametrize(
    ("situation", "words"),
    [
        ("nobody registered", "none has registered the pipeline {slug} in this project"),
        ("silent", "waiting for workers: none online for pipeline {slug}."),
        ("online", ""),
        ("inactive", "its project is switched off"),
    ],
)
def test_a_job_that_nobody_works_on_says_what_it_waits_for_and_goes_on_waiting(
    light_world: World, situation: str, words: str
) -> None:
    if situation != "nobody registered":
        service(light_world, silent_for=timedelta(minutes=5 if situation == "silent" else 0))
    if situation == "inactive":
        type(light_world.project).objects.filter(pk=light_world.project.pk).update(active=False)
    job = light_world.started_job(2)
    for _ in range(2):
        assert check_stalled() == Report(checked=1)
    job.refresh_from_db()
    words = words.format(slug=light_world.pipeline.slug)
    assert words in job.waiting
    assert bool(job.waiting) == bool(words)
    assert job.status == "STARTED"
    told = JobLog.objects.filter(job=job, message__startswith="The job is waiting")
    assert told.count() == (1 if words else 0), "repeated checks do not repeat it"


def test_the_sentence_goes_when_somebody_takes_a_task(light_world: World) -> None:
    job = light_world.started_job(2)
    check_stalled()
    assert Job.objects.get(pk=job.pk).waiting
    light_world.reserve(job, 1)
    check_stalled()
    assert Job.objects.get(pk=job.pk).waiting == ""


def test_a_job_that_ended_waits_for_nothing(light_world: World) -> None:
    job = light_world.started_job(2)
    check_stalled()
    cancel_job(job.pk)
    assert Job.objects.get(pk=job.pk).waiting == ""


def test_a_day_without_a_worker_costs_nothing(light_world: World) -> None:
    """A simulated day: everything in the database is a day old, and all checks run again and again."""
    service(light_world, silent_for=timedelta(days=1))
    job = light_world.started_job(4)
    light_world.expire(job, light_world.reserve(job, 2))
    for hour in range(24):
        _an_hour_passes()
        reports = run_all()
        light_world.background.run()
        assert not any(report.error for report in reports.values()), hour
    job.refresh_from_db()
    assert (job.status, light_world.tally(job)) == ("STARTED", {"pending": 4})
    assert job.waiting == f"waiting for workers: none online for pipeline {light_world.pipeline.slug}."
    tasks = light_world.obtain(job, 4)
    light_world.post(job, [light_world.success(task) for task in tasks])
    light_world.background.run()
    light_world.assert_ended_exactly(job, 4)


def _an_hour_passes() -> None:
    for table, columns in _TIMES.items():
        aged = ", ".join(f"{column} = {column} - interval '1 hour'" for column in columns)
        execute(f"UPDATE {table} SET {aged}")


_TIMES = {
    "jobs_job": ("created_at", "updated_at", "scheduled_at", "started_at", "projected_at", "refresh_due_at"),
    "jobs_jobtask": ("leased_until", "not_before"),
    "jobs_inboxentry": ("created_at", "asked_at", "claimed_until"),
    "ml_processingservice": ("last_seen",),
    "ml_workerinstance": ("last_seen",),
}

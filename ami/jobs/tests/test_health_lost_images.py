"""lost images: who used up all attempts and fell silent is failed, unless a late result wins."""

from __future__ import annotations

from functools import partial

import pytest
from pytest_django.fixtures import Settings

from ami.jobs import diagnostics
from ami.jobs.health.lost_images import check_lost_images
from ami.jobs.health.report import Report
from ami.jobs.invariants import check
from ami.jobs.lifecycle.cancel import cancel_job
from ami.jobs.lifecycle.reserve import ReservedTask
from ami.jobs.lifecycle.retry import retry_job
from ami.jobs.models import Attempt, Job, JobLog
from ami.jobs.tests.faults import meanwhile, overtaken, together
from ami.jobs.tests.world import ALICE, BOB, World

pytestmark = pytest.mark.integration


@pytest.fixture(autouse=True)
def two_attempts(settings: Settings) -> None:
    """Few attempts make short tests."""
    settings.NATS_MAX_DELIVER = 2


def exhausted(world: World, images: int = 3, spare: int = 1) -> tuple[Job, list[ReservedTask]]:
    """A job of which `images` were leased as often as may be, and their last tasks; `spare` are free."""
    job = world.started_job(images + spare)
    first = world.reserve(job, images, ALICE)
    world.expire(job, first)
    last = world.obtain(job, images, BOB)
    assert {task.image_id for task in last} == {task.image_id for task in first}
    world.let_leases_run_out(job)
    return job, last


def test_images_without_attempts_left_are_failed_with_attempts_and_workers(light_world: World) -> None:
    job, last = exhausted(light_world)
    assert check_lost_images() == Report(checked=3, fixed=3)
    assert light_world.tally(job) == {"failed": 3, "pending": 1}
    row = light_world.row(job, last[0].image_id)
    assert (row.error_code, row.worker, row.leased_until) == ("delivery_exhausted", BOB.name, None)
    assert "All 2 attempts" in row.error_text
    tried = Attempt.objects.filter(job=job, image_id=last[0].image_id).order_by("attempt")
    assert [(one.attempt, one.worker) for one in tried] == [(1, ALICE.name), (2, BOB.name)]
    assert check([job.pk]) == []
    assert check_lost_images() == Report()


def test_the_job_ends_without_anybody_asking_for_tasks(light_world: World) -> None:
    job, _ = exhausted(light_world, spare=0)
    check_lost_images()
    light_world.background.run()
    job.refresh_from_db()
    assert (job.status, light_world.figures(job)["failed"]) == ("FAILURE", 3)


def test_an_image_with_a_live_lease_or_an_attempt_left_is_not_lost(light_world: World) -> None:
    job = light_world.started_job(3)
    light_world.expire(job, light_world.reserve(job, 3))
    light_world.obtain(job, 2)
    before = light_world.ledger_bytes(job)
    assert check_lost_images() == Report()
    assert light_world.ledger_bytes(job) == before


def test_no_worker_for_a_day_loses_nothing(light_world: World) -> None:
    job = light_world.started_job(3)
    light_world.expire(job, light_world.reserve(job, 3))
    light_world.let_leases_run_out(job)
    assert check_lost_images() == Report()
    assert light_world.tally(job) == {"pending": 3}


@pytest.mark.parametrize("ended", [True, False])
def test_jobs_that_do_not_serve_are_left_alone(light_world: World, ended: bool) -> None:
    job, _ = exhausted(light_world)
    if ended:
        cancel_job(job.pk)
    else:
        Job.objects.filter(pk=job.pk).update(status="PENDING")
    assert check_lost_images() == Report()


def test_a_late_result_wins_until_the_row_is_locked(world: World) -> None:
    job, last = exhausted(world)
    with meanwhile("lost_images.before_lock", lambda: world.post(job, [world.success(last[0])], BOB)):
        assert check_lost_images() == Report(checked=3, fixed=2)
    assert world.tally(job) == {"received": 1, "failed": 2, "pending": 1}


def test_a_result_that_comes_while_rows_are_failed_is_told_so(world: World) -> None:
    job, last = exhausted(world)
    post = partial(world.post, job, [world.success(last[0])], BOB)
    answers = overtaken("receive.before_commit", post, check_lost_images)
    assert [answer.status for answer in answers] == ["queued"]
    assert world.tally(job) == {"received": 1, "failed": 2, "pending": 1}


def test_two_checks_at_once_fail_each_image_once(world: World) -> None:
    job, _ = exhausted(world, images=6)
    reports = together(check_lost_images, check_lost_images)
    assert sum(report.fixed for report in reports) == 6
    assert Attempt.objects.filter(job=job).count() == 12


def test_the_diagnostic_previews_ten_images_and_the_log_has_them_all(light_world: World) -> None:
    job, last = exhausted(light_world, images=12)
    check_lost_images()
    job.refresh_from_db()
    ids = sorted(task.image_id for task in last)
    preview = ", ".join(map(str, ids[:10]))
    assert job.diagnostics == [
        f"12 images were handed out 2 times without an answer and failed: {preview} and 2 more"
    ]
    lines = JobLog.objects.filter(job=job, message__startswith="Lost images")
    assert [line.context["image_ids"] for line in lines] == [ids]
    assert not diagnostics.note(job.pk, job.diagnostics[0]), "nothing is said twice"
    cancel_job(job.pk)
    retry_job(job)
    job.refresh_from_db()
    assert job.diagnostics == []


def test_a_dry_run_only_counts(light_world: World) -> None:
    job, _ = exhausted(light_world)
    before = light_world.ledger_bytes(job)
    assert check_lost_images(dry_run=True) == Report(checked=3, fixed=3)
    assert light_world.ledger_bytes(job) == before

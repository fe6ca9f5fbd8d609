"""The trailing refresh: asked for once an interval, never lost for good, and never answered too early."""

from __future__ import annotations

from functools import partial

import pytest
from pytest_django.fixtures import Settings

from ami.base.database import execute, rows
from ami.base.failpoints import hit
from ami.jobs import ledger
from ami.jobs.health.dispatch import check_dispatch
from ami.jobs.invariants import check
from ami.jobs.ledger import Share
from ami.jobs.lifecycle.advance import refresh_job
from ami.jobs.lifecycle.cancel import cancel_job
from ami.jobs.lifecycle.dispatch import dispatch_job
from ami.jobs.lifecycle.enqueue import run_job
from ami.jobs.models import Job
from ami.jobs.progress import Counts
from ami.jobs.tests.faults import killed_at, lose_messages, overtaken
from ami.jobs.tests.world import World

pytestmark = pytest.mark.integration


def test_a_request_that_the_broker_did_not_take_keeps_no_later_one_from_being_made(
    light_world: World,
) -> None:
    job = light_world.started_job(2)
    one, two = light_world.reserve(job)
    light_world.background.asked.clear()
    light_world.background.down = True
    light_world.post(job, [light_world.error(one, retryable=False)])
    light_world.background.down = False
    light_world.post(job, [light_world.error(two, retryable=False)])
    assert light_world.background.asked == [("refresh", job.pk)]


def test_a_request_made_while_a_refresh_counts_is_not_answered_by_it(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = world.started_job(2)
    one, two = world.reserve(job)
    world.post(job, [world.error(one, retryable=False)])
    world.background.asked.clear()
    count = ledger.count_by_worker

    def count_and_hit(job_id: int) -> tuple[Counts, list[Share]]:
        counted = count(job_id)
        hit("test.counted")
        return counted

    def post() -> None:
        world.post(Job.objects.get(pk=job.pk), [world.error(two, retryable=False)])

    monkeypatch.setattr(ledger, "count_by_worker", count_and_hit)
    overtaken("test.counted", partial(refresh_job, job.pk), post)
    assert ("refresh", job.pk) in world.background.asked
    assert rows("SELECT refresh_due_at IS NOT NULL FROM jobs_job") == [(True,)], "it stays noted"
    world.background.run()
    assert world.figures(job)["failed"] == 2


def test_a_refresh_that_dies_is_made_up_for(world: World) -> None:
    job = world.started_job(2)
    task = world.reserve(job, 1)[0]
    world.post(job, [world.error(task, retryable=False)])
    killed_at("refresh.counted", partial(refresh_job, job.pk))
    world.background.asked.clear()
    execute("UPDATE jobs_job SET refresh_due_at = refresh_due_at - interval '11 s'")
    check_dispatch()
    assert world.background.asked == [("refresh", job.pk)]
    world.background.run()
    assert world.figures(job)["failed"] == 1


@pytest.mark.parametrize("begun", [True, False])
def test_stages_show_that_a_job_was_cancelled_though_whoever_did_it_died_at_once(
    world: World, begun: bool
) -> None:
    job = world.started_job(2) if begun else world.job(2)
    run_job(job)
    killed_at("cancel.after_commit", partial(cancel_job, job.pk))
    assert_shown_later(world, job, "REVOKED")


def test_stages_show_that_a_job_lost_its_captures_though_whoever_saw_it_died_at_once(world: World) -> None:
    job = world.job(2)
    run_job(job)
    Job.objects.filter(pk=job.pk).update(source_image_collection=None)
    killed_at("dispatch.ended_without_captures", partial(dispatch_job, job.pk))
    assert_shown_later(world, job, "FAILURE")


def assert_shown_later(world: World, job: Job, status: str) -> None:
    """The dispatch check makes up for the refresh that nobody asked for."""
    world.background.asked.clear()
    execute("UPDATE jobs_job SET refresh_due_at = refresh_due_at - interval '11 s'")
    check_dispatch()
    world.background.run()
    job.refresh_from_db()
    assert job.status == status
    assert check(at_rest=True) == []


def test_a_queue_that_ran_half_empty_by_failures_is_filled_by_the_refresh(
    light_world: World, settings: Settings
) -> None:
    settings.DISPATCH_WINDOW = 4
    job = light_world.started_job(8)
    tasks = light_world.reserve(job, 4)
    light_world.background.asked.clear()
    light_world.post(job, [light_world.error(task, retryable=False) for task in tasks])
    lose_messages(job)  # at once, and not when the server has carried out the acks
    light_world.background.run("refresh")
    assert light_world.background.asked == [("dispatch", job.pk)]
    light_world.background.run("dispatch")
    assert light_world.standing(job) == 4

"""Health checks act on evidence, alone, and never crash because a server is away."""

from __future__ import annotations

from functools import partial

import pytest
from django.db import connection
from pytest_django.fixtures import Settings

from ami.base.database import execute
from ami.base.locks import only_one
from ami.embedded.nats import Nats
from ami.jobs import ledger, transitions
from ami.jobs.health import inbox, runner
from ami.jobs.health.dispatch import check_dispatch
from ami.jobs.health.inbox import check_inbox
from ami.jobs.health.report import Report
from ami.jobs.health.runner import Check, run_all, run_check
from ami.jobs.lifecycle import claims
from ami.jobs.lifecycle.cancel import cancel_job
from ami.jobs.lifecycle.dispatch import delay_left
from ami.jobs.lifecycle.enqueue import run_job
from ami.jobs.lifecycle.retry import retry_job
from ami.jobs.models import InboxEntry, Job, JobStage
from ami.jobs.tests.faults import (
    bring_back,
    delete_stream,
    lose_claims,
    lose_messages,
    publish_copies,
    run_into_a_timeout,
    together,
)
from ami.jobs.tests.world import BOB, World
from ami.taskqueue import Action, InProgress, TaskQueueManager

pytestmark = pytest.mark.integration


def test_a_young_inbox_row_is_left_to_the_task_that_was_asked_for(light_world: World) -> None:
    light_world.accepted_job(2)
    assert check_inbox() == Report()
    assert light_world.background.asked == []


def test_an_old_inbox_row_is_saved_and_its_images_are_kept_from_others(
    light_world: World, told: list[Action]
) -> None:
    job, _ = light_world.accepted_job(2)
    lose_claims()
    told.clear()
    assert check_inbox() == Report(checked=1, fixed=1)
    assert [type(action) for action in told] == [InProgress] * 2
    light_world.background.run()
    light_world.assert_ended_exactly(job, 2)


def test_an_inbox_row_in_somebodys_hands_is_left_alone(light_world: World) -> None:
    light_world.accepted_job(2)
    lose_claims()
    execute("UPDATE jobs_inboxentry SET claimed_until = now() + interval '30 s'")
    assert check_inbox() == Report()


def asked_for(world: World) -> list[int]:
    """The inbox rows that one run of the check enqueues."""
    world.background.asked.clear()
    check_inbox()
    return [key for verb, key in world.background.asked if verb == "save"]


def test_every_inbox_row_gets_its_turn(light_world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inbox, "AT_ONCE", 2)
    job = light_world.started_job(5)
    for task in light_world.reserve(job):
        light_world.post(job, [light_world.success(task)])
    lose_claims()
    one, two, three, four, five = InboxEntry.objects.order_by("pk").values_list("pk", flat=True)
    assert [asked_for(light_world) for _ in range(4)] == [[one, two], [three, four], [five], []]
    for turn in ([one, two], [three, four], [five, one]):
        lose_claims()
        assert asked_for(light_world) == turn, "whose last request is longest ago"


def test_while_nobody_saves_a_row_is_enqueued_less_and_less_often(light_world: World) -> None:
    _, entry = light_world.accepted_job(1)
    execute("UPDATE jobs_inboxentry SET created_at = now() - interval '100 s'")
    assert asked_for(light_world) == [entry.pk]
    for seconds, asked in ((40, []), (20, [entry.pk])):
        execute("UPDATE jobs_inboxentry SET asked_at = asked_at - make_interval(secs => %s)", [seconds])
        execute("UPDATE jobs_inboxentry SET created_at = created_at - make_interval(secs => %s)", [seconds])
        assert asked_for(light_world) == asked
    execute("UPDATE jobs_inboxentry SET created_at = created_at - interval '1 day'")
    assert asked_for(light_world) == []
    execute("UPDATE jobs_inboxentry SET asked_at = asked_at - interval '121 s'")
    assert asked_for(light_world) == [entry.pk], "but never more than two minutes apart"


def test_what_the_broker_did_not_take_is_asked_for_at_the_next_run(light_world: World) -> None:
    _, entry = light_world.accepted_job(1)
    lose_claims()
    light_world.background.down = True
    assert asked_for(light_world) == []
    light_world.background.down = False
    assert asked_for(light_world) == [entry.pk]


def test_without_a_broker_the_inbox_check_says_so(light_world: World) -> None:
    light_world.accepted_job(2)
    lose_claims()
    light_world.background.down = True
    assert check_inbox() == Report(checked=1, unfixable=1)


def test_the_inbox_check_works_without_a_queue_and_past_an_unreadable_row(
    light_world: World, lonely_nats: Nats
) -> None:
    light_world.accepted_job(2)
    light_world.accepted_job(2)
    first = InboxEntry.objects.order_by("pk").first()
    assert first is not None
    InboxEntry.objects.filter(pk=first.pk).update(body=b"?")
    lose_claims()
    lonely_nats.kill()
    assert check_inbox() == Report(checked=2, fixed=2)


def test_a_created_job_is_never_dispatched(light_world: World) -> None:
    light_world.job(2)
    assert check_dispatch() == Report()
    assert light_world.background.asked == []


@pytest.mark.parametrize("status", ["PENDING", "STARTED", "RETRY"])
def test_a_job_whose_dispatch_was_lost_is_dispatched(light_world: World, status: str) -> None:
    job = light_world.job(2)
    execute("UPDATE jobs_job SET status = %s", [status])
    assert check_dispatch() == Report(checked=1, fixed=1)
    light_world.background.run("dispatch")
    assert light_world.standing(job) == 2


def test_a_retried_job_is_dispatched_whatever_stands_in_its_queue(
    light_world: World, settings: Settings
) -> None:
    settings.DISPATCH_WINDOW = 4
    job = light_world.started_job(3)
    transitions.cancel(job.pk)  # and the queue could not be deleted: NATS was down
    ledger.cancel_pending(job.pk)
    retry_job(job)
    light_world.background.asked.clear()
    assert check_dispatch().fixed == 1


def test_a_delayed_job_is_not_dispatched_before_its_time(light_world: World) -> None:
    job = light_world.job(2, delay=3_600)
    run_job(job)
    light_world.background.asked.clear()
    assert check_dispatch() == Report(checked=1)
    execute("UPDATE jobs_job SET scheduled_at = scheduled_at - interval '1 hour'")
    assert check_dispatch() == Report(checked=1, fixed=1)


def test_a_job_with_a_live_driver_is_left_alone(light_world: World) -> None:
    job = light_world.job(2)
    transitions.submit(job.pk)
    claim = claims.take(job.pk)
    assert claim is not None
    assert check_dispatch() == Report()
    lose_claims()
    assert check_dispatch() == Report(checked=1, fixed=1)


def test_a_job_in_order_needs_nothing(light_world: World) -> None:
    job = light_world.started_job(4)
    light_world.reserve(job, 2)
    publish_copies(job, [1, 2])
    for _ in range(3):
        assert check_dispatch() == Report(checked=1)
    assert light_world.background.asked == []


def test_unpublished_rows_in_front_of_a_half_empty_queue_are_published(
    light_world: World, settings: Settings
) -> None:
    settings.DISPATCH_WINDOW = 4
    job = light_world.started_job(8)
    assert check_dispatch() == Report(checked=1)
    lose_messages(job, keep=1)
    assert check_dispatch() == Report(checked=1, fixed=1)


def test_a_job_with_nothing_open_is_asked_to_finish(light_world: World) -> None:
    job, _ = light_world.accepted_job(2)
    light_world.background.down = True  # the trailing refresh is lost
    for entry in InboxEntry.objects.all():
        execute("UPDATE jobs_jobtask SET status = 2 WHERE accepted_in = %s", [entry.pk])
    light_world.background.down = False
    check_dispatch()
    assert light_world.background.asked == [("refresh", job.pk)]
    light_world.background.run()
    job.refresh_from_db()
    assert job.status == "SUCCESS"


def test_lost_messages_are_no_business_of_a_check_that_was_overtaken(light_world: World) -> None:
    job = light_world.started_job(4)
    lose_messages(job, keep=1)
    check_dispatch()
    claim = claims.take(job.pk)
    assert claim is not None
    assert check_dispatch() == Report()
    claims.release(claim)
    execute("UPDATE jobs_job SET run = run + 1")
    assert check_dispatch().fixed == 0, "seen once in this run"
    assert check_dispatch().fixed == 1


def test_lost_messages_are_left_to_a_driver_that_came_meanwhile(
    light_world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = light_world.started_job(4)
    lose_messages(job, keep=1)
    check_dispatch()
    count = TaskQueueManager.message_count

    def claim_and_count(queue: TaskQueueManager, job_id: int) -> int | None:
        assert claims.take(job_id) is not None
        return count(queue, job_id)

    monkeypatch.setattr(TaskQueueManager, "message_count", claim_and_count)
    assert check_dispatch() == Report(checked=1)
    job.refresh_from_db()
    assert job.queue_epoch == 1


def test_a_job_that_cannot_be_looked_at_keeps_no_other_waiting(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow, other = world.job(1), world.job(1)
    execute("UPDATE jobs_job SET status = 'PENDING'")

    def time_out_or_say(job: Job) -> float:
        if job.pk == slow.pk:
            run_into_a_timeout()
        return delay_left(job)

    monkeypatch.setattr("ami.jobs.health.dispatch.delay_left", time_out_or_say)
    assert check_dispatch() == Report(checked=2, fixed=1, unfixable=1)
    assert world.background.asked == [("dispatch", other.pk)]


def test_a_refresh_that_was_lost_is_asked_for_again_whatever_became_of_the_job(light_world: World) -> None:
    job = light_world.started_job(3)
    light_world.background.down = True
    cancel_job(job.pk)
    light_world.background.down = False
    check_dispatch()
    assert light_world.background.asked == [], "it may still come"
    execute("UPDATE jobs_job SET refresh_due_at = refresh_due_at - interval '11 s'")
    check_dispatch()
    check_dispatch()
    assert light_world.background.asked == [("refresh", job.pk)]
    light_world.background.run()
    assert set(JobStage.objects.exclude(key="collect").values_list("status", flat=True)) == {"REVOKED"}
    execute("UPDATE jobs_job SET refresh_due_at = refresh_due_at - interval '1 day'")
    check_dispatch()
    assert light_world.background.asked == [], "what was done is not done again"


def test_two_checks_at_once_rebuild_a_queue_once(world: World) -> None:
    job = world.started_job(4)
    lose_messages(job, keep=1)
    check_dispatch()
    together(check_dispatch, check_dispatch)
    job.refresh_from_db()
    assert job.queue_epoch == 2
    world.background.run("dispatch")
    job.refresh_from_db()
    assert (job.queue_epoch, world.standing(job)) == (3, 4)


def test_without_a_queue_the_dispatch_check_reports_it_and_still_dispatches_what_it_can(
    light_world: World, lonely_nats: Nats
) -> None:
    waiting_for_nats = light_world.started_job(2)
    newcomer = light_world.job(2)
    run_job(newcomer)
    light_world.background.asked.clear()
    lonely_nats.kill()
    assert check_dispatch() == Report(checked=2, fixed=1, unfixable=1)
    assert light_world.background.asked == [("dispatch", newcomer.pk)]
    bring_back(lonely_nats)
    delete_stream(waiting_for_nats)
    assert check_dispatch().fixed == 2


def test_without_a_broker_the_dispatch_check_says_so(light_world: World) -> None:
    light_world.job(2)
    execute("UPDATE jobs_job SET status = 'PENDING'")
    light_world.background.down = True
    assert check_dispatch() == Report(checked=1, unfixable=1)


def test_a_check_that_is_running_elsewhere_is_skipped(world: World) -> None:
    world.accepted_job(2)
    lose_claims()
    with only_one("health.inbox"):
        reports = together(partial(run_check, "inbox"))
    assert reports == [Report(skipped=True)]
    assert run_check("inbox") == Report(checked=1, fixed=1)


def test_a_check_that_fails_stops_no_other(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    job, _ = world.accepted_job(2)
    lose_claims()

    def fail(*, dry_run: bool = False) -> Report:
        raise RuntimeError("a mistake in a check")

    broken = Report(unfixable=1, error="RuntimeError('a mistake in a check')")
    order: dict[str, Check] = {"broken": fail, "inbox": check_inbox}
    monkeypatch.setattr(runner, "CHECKS", order)
    assert run_all() == {"broken": broken, "inbox": Report(checked=1, fixed=1)}
    assert run_check("broken") == broken, "its lock was given back"
    world.background.run()
    world.assert_ended_exactly(job, 2)


def test_a_check_that_loses_its_database_session_is_reported_and_the_next_one_runs(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lose_session(*, dry_run: bool = False) -> Report:
        execute("SELECT pg_terminate_backend(pg_backend_pid())")
        return Report()

    order: dict[str, Check] = {"broken": lose_session, "inbox": check_inbox}
    monkeypatch.setattr(runner, "CHECKS", order)
    reports = run_all()
    assert (reports["broken"].unfixable, reports["inbox"]) == (1, Report())
    assert connection.is_usable()


def test_a_name_that_is_no_check_is_a_mistake() -> None:
    with pytest.raises(KeyError):
        run_check("astrology")


def test_a_job_left_by_everybody_ends_by_health_checks_alone(world: World) -> None:
    job = world.job(6)
    transitions.submit(job.pk)  # and nothing else was asked for
    check_dispatch()
    world.background.run("dispatch")
    tasks = world.reserve(job, 3, BOB)
    world.post(job, [world.success(task) for task in tasks], BOB)
    world.background.asked.clear()
    delete_stream(job)
    for _ in range(3):
        lose_claims()
        run_all()
        world.background.run()
    world.work_off(job)
    world.background.asked.clear()
    run_all()
    world.background.run()
    world.assert_ended_exactly(job, 6)

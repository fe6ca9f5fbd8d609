"""Postgres is the truth: wipe Redis, NATS or both in the middle of a job, and it still ends exactly."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from pytest_django.fixtures import Settings

from ami.jobs.health.dispatch import check_dispatch
from ami.jobs.lifecycle.cancel import cancel_job
from ami.jobs.lifecycle.retry import retry_job
from ami.jobs.models import Job, JobLog, JobTask
from ami.jobs.tests.faults import (
    delete_consumer,
    delete_stream,
    flush_redis,
    lose_messages,
    pending_sets,
    publish_copies,
)
from ami.jobs.tests.world import ALICE, BOB, World, delivery_of
from ami.ml.models import Detection
from ami.taskqueue import Ack, InProgress, Nak, TaskQueueManager
from ami.taskqueue.tests.waiting import wait_for

pytestmark = pytest.mark.integration


def wipe_both(job: Job) -> None:
    """Lose Redis and the job's stream."""
    flush_redis()
    delete_stream(job)


def wipe_redis(job: Job) -> None:
    """Lose Redis."""
    flush_redis()


@pytest.mark.parametrize("wipe", [wipe_redis, delete_stream, delete_consumer, wipe_both])
def test_a_wipe_in_the_middle_of_a_job_changes_nothing_in_its_end(
    light_world: World, wipe: Callable[[Job], None]
) -> None:
    job = light_world.started_job(7)
    saved, accepted, held = light_world.reserve(job, 3)
    light_world.post(job, [light_world.success(saved)])
    light_world.background.run()
    light_world.post(job, [light_world.success(accepted)])
    detections = set(Detection.objects.values_list("pk", flat=True))
    wipe(job)
    check_dispatch()
    light_world.background.run()
    assert light_world.tally(job) == {"processed": 2, "pending": 5}
    answers = light_world.post(job, [light_world.success(task) for task in (saved, accepted, held)])
    assert [str(answer.status) for answer in answers] == ["duplicate", "duplicate", "queued"]
    assert light_world.work_off(job, BOB, batch=2) == 4, "nothing that was accepted is handed out again"
    light_world.assert_ended_exactly(job, 7)
    assert detections <= set(Detection.objects.values_list("pk", flat=True))


def test_a_wipe_at_99_percent_and_one_after_the_end(light_world: World) -> None:
    job = light_world.started_job(4)
    tasks = light_world.reserve(job)
    light_world.post(job, [light_world.success(task) for task in tasks[:3]])
    light_world.background.run()
    wipe_both(job)
    light_world.post(job, [light_world.success(tasks[3])])
    light_world.background.run()
    light_world.assert_ended_exactly(job, 4)
    flush_redis()
    check_dispatch()
    light_world.background.run()
    light_world.assert_ended_exactly(job, 4)


def test_lost_pending_sets_come_back_from_the_ledger(light_world: World, settings: Settings) -> None:
    settings.PROGRESS_INTERVAL_SECONDS = 0
    job = light_world.started_job(4)
    tasks = light_world.reserve(job)
    flush_redis()
    light_world.post(job, [light_world.success(tasks[0])])
    light_world.background.run("save")
    still_open = {task.image_id for task in tasks[1:]}
    assert pending_sets(job) == (still_open, still_open)


def test_a_missing_stream_is_built_anew_under_the_next_epoch(light_world: World) -> None:
    job = light_world.started_job(3)
    delete_stream(job)
    report = check_dispatch()
    assert (report.checked, report.fixed, report.unfixable) == (1, 1, 0)
    light_world.background.run("dispatch")
    job.refresh_from_db()
    assert (job.queue_epoch, light_world.standing(job)) == (2, 3)
    assert JobLog.objects.filter(job=job, level="WARNING", message__contains="rebuilt").count() == 1


@pytest.mark.parametrize("worked_off", [True, False])
def test_a_queue_that_was_removed_with_its_job_is_not_reported_as_missing(
    light_world: World, worked_off: bool
) -> None:
    job = light_world.started_job(3)
    tasks = light_world.reserve(job, 2)
    light_world.post(job, [light_world.error(tasks[0], retryable=False), light_world.success(tasks[1])])
    if worked_off:
        light_world.work_off(job)
        JobLog.objects.all().delete()  # it told why an image failed
    else:
        cancel_job(job.pk)
        JobLog.objects.all().delete()  # it told that the job was cancelled
    assert retry_job(Job.objects.get(pk=job.pk))
    light_world.dispatch(job)
    assert job.queue_epoch == 2
    assert not JobLog.objects.filter(job=job, level="WARNING").exists()
    delete_stream(job)
    light_world.dispatch(job)
    assert JobLog.objects.filter(job=job, level="WARNING", message__contains="rebuilt").count() == 1


def test_a_missing_queue_that_held_nothing_any_more_is_built_without_a_warning(light_world: World) -> None:
    job = light_world.started_job(2)
    light_world.post(job, [light_world.success(task) for task in light_world.reserve(job)])
    delete_stream(job)
    light_world.dispatch(job)
    assert (job.queue_epoch, JobLog.objects.filter(job=job, level="WARNING").count()) == (2, 0)


@pytest.mark.parametrize("action", [Ack, Nak, InProgress])
def test_an_answer_to_a_delivery_from_before_a_rebuild_changes_nothing(
    light_world: World, action: Callable[..., Ack | Nak | InProgress]
) -> None:
    job = light_world.started_job(3)
    old = light_world.reserve(job)
    delete_stream(job)
    light_world.dispatch(job)
    queue = TaskQueueManager()
    before = (queue.consumer_state(job.pk, 2), queue.message_count(job.pk))
    queue.settle([action(delivery_of(task)) for task in old])
    light_world.let_leases_run_out(job)
    fresh = light_world.reserve(job)
    assert before[1] == light_world.standing(job) == len(fresh) == 3
    queue.settle([action(delivery_of(task)) for task in old])
    assert light_world.reserve(job, worker=BOB) == []
    assert light_world.standing(job) == 3


def test_lost_messages_are_noticed_in_the_second_check_and_not_in_the_first(light_world: World) -> None:
    job = light_world.started_job(5)
    light_world.reserve(job, 1)
    lose_messages(job, keep=3)
    first = check_dispatch()
    job.refresh_from_db()
    assert (first.fixed, job.queue_epoch, light_world.background.asked) == (0, 1, [])
    second = check_dispatch()
    assert second.fixed == 1
    light_world.background.run("dispatch")
    light_world.let_leases_run_out(job)
    assert light_world.standing(job) == 5
    assert light_world.work_off(job) == 5
    light_world.assert_ended_exactly(job, 5)


def test_a_message_acked_without_an_outcome_is_found_and_published_again(light_world: World) -> None:
    job = light_world.started_job(3)
    tasks = light_world.reserve(job)
    TaskQueueManager().settle([Ack(delivery_of(tasks[0]))])  # as a faulty client might
    wait_for(lambda: light_world.standing(job) == 2)
    light_world.let_leases_run_out(job)
    check_dispatch()
    check_dispatch()
    light_world.background.run("dispatch")
    assert light_world.work_off(job, worker=ALICE) == 3
    light_world.assert_ended_exactly(job, 3)


def test_what_looked_like_a_loss_once_is_forgotten_when_it_was_none(light_world: World) -> None:
    job = light_world.started_job(4)
    tasks = light_world.reserve(job)
    TaskQueueManager().settle([Ack(delivery_of(tasks[0]))])
    wait_for(lambda: light_world.standing(job) == 3)
    assert check_dispatch().fixed == 0
    light_world.post(job, [light_world.success(tasks[0])])  # it was only a result on its way
    light_world.background.run("save")
    assert check_dispatch().fixed == 0
    job.refresh_from_db()
    assert (job.dispatch_seen, job.queue_epoch) == (None, 1)


def test_received_rows_and_unpublished_rows_are_not_missed(light_world: World, settings: Settings) -> None:
    settings.DISPATCH_WINDOW = 3
    job = light_world.started_job(6)
    tasks = light_world.reserve(job)
    light_world.post(job, [light_world.success(tasks[0])])
    for _ in range(3):
        assert check_dispatch().fixed == 0
    job.refresh_from_db()
    assert job.queue_epoch == 1


def test_messages_brought_back_by_a_restored_server_are_judged_by_the_ledger(light_world: World) -> None:
    job = light_world.started_job(3)
    done = light_world.reserve(job, 1)
    light_world.post(job, [light_world.success(done[0])])
    light_world.background.run()
    publish_copies(job, list(JobTask.objects.filter(job=job).values_list("image_id", flat=True)))
    assert light_world.work_off(job) == 2
    light_world.assert_ended_exactly(job, 3)

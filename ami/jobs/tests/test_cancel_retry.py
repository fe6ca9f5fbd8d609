"""Cancel, retry and delete cut in anywhere: what is done stays done, what ended stays ended."""

from __future__ import annotations

from functools import partial

import pytest
from django.db import OperationalError, transaction
from pytest_django.fixtures import Settings

from ami.base.database import execute, rows
from ami.base.failpoints import FailpointRaised, arm, hit
from ami.jobs import ledger, transitions
from ami.jobs.invariants import Watch, check
from ami.jobs.lifecycle import claims
from ami.jobs.lifecycle.advance import refresh_job
from ami.jobs.lifecycle.cancel import cancel_job
from ami.jobs.lifecycle.cleanup import clean_up
from ami.jobs.lifecycle.collect import collect_chunk
from ami.jobs.lifecycle.delete import delete_job
from ami.jobs.lifecycle.dispatch import dispatch_job
from ami.jobs.lifecycle.enqueue import run_job
from ami.jobs.lifecycle.finish import finish_job
from ami.jobs.lifecycle.retry import retry_failed, retry_job
from ami.jobs.lifecycle.save import save_inbox_row
from ami.jobs.models import InboxEntry, Job, JobStage, JobTask
from ami.jobs.states import TaskState
from ami.jobs.tests.faults import killed_at, meanwhile, overtaken, together
from ami.jobs.tests.world import World
from ami.ml.models import Detection
from ami.taskqueue import AsyncJobStateManager, TaskQueueManager
from ami.taskqueue.tests.waiting import wait_for

pytestmark = pytest.mark.integration


def half_done(world: World) -> Job:
    """A job of five: one processed, one failed, one received, one leased, one waiting."""
    job = world.started_job(5)
    tasks = world.reserve(job, 4)
    world.post(job, [world.success(tasks[0]), world.error(tasks[1], retryable=False)])
    world.background.run("save")
    world.post(job, [world.success(tasks[2])])
    assert world.tally(job) == {"processed": 1, "failed": 1, "received": 1, "pending": 2}
    return job


def test_a_cancelled_job_keeps_what_was_accepted_and_stays_cancelled(light_world: World) -> None:
    job = half_done(light_world)
    assert cancel_job(job.pk, by="Ada")
    assert not cancel_job(job.pk), "the second call changes nothing"
    job.refresh_from_db()
    assert (job.status, job.finished_at is not None) == ("REVOKED", True)
    assert light_world.tally(job) == {"processed": 1, "failed": 1, "received": 1, "cancelled": 2}
    assert light_world.standing(job) is None
    assert not AsyncJobStateManager(job.pk).exists()
    light_world.background.run()
    job.refresh_from_db()
    assert (job.status, light_world.tally(job)) == ("REVOKED", {"processed": 2, "failed": 1, "cancelled": 2})
    assert not InboxEntry.objects.exists()
    assert light_world.figures(job)["processed"] == 3
    assert {stage.status for stage in JobStage.objects.filter(job=job).exclude(key="collect")} == {"REVOKED"}


def test_a_job_cancelled_before_its_dispatch_never_starts(light_world: World) -> None:
    job = light_world.job(3)
    run_job(job)
    cancel_job(job.pk)
    light_world.dispatch(job)
    assert (job.status, light_world.tally(job), light_world.standing(job)) == ("REVOKED", {}, None)


def test_a_cancel_between_two_chunks_of_collecting_ends_it_there(world: World, settings: Settings) -> None:
    settings.COLLECT_CHUNK = 3
    job = world.job(8)
    run_job(job)
    with meanwhile("collect.after_chunk", partial(cancel_job, job.pk)):
        dispatch_job(job.pk)
    world.background.run()
    job.refresh_from_db()
    assert (job.status, world.tally(job), job.collected_at) == ("REVOKED", {"cancelled": 3}, None)


def test_a_cancel_while_collecting_leaves_no_pending_row(world: World, settings: Settings) -> None:
    """The cancel waits for the chunk under way; the database chooses whether the next chunk overtakes it."""
    settings.COLLECT_CHUNK = 3
    job = world.job(8)
    run_job(job)
    overtaken("collect.before_commit", partial(dispatch_job, job.pk), partial(cancel_job, job.pk))
    world.background.run()
    job.refresh_from_db()
    assert (job.status, set(world.tally(job)), world.standing(job)) == ("REVOKED", {"cancelled"}, None)


def test_a_cancel_while_publishing_leaves_no_stream(world: World) -> None:
    job = world.job(3)
    run_job(job)
    with meanwhile("publish.first", partial(cancel_job, job.pk)):
        dispatch_job(job.pk)
    world.background.run()
    job.refresh_from_db()
    assert (job.status, world.standing(job)) == ("REVOKED", None)


def test_a_reservation_and_a_cancel_at_once_leave_no_lease_on_a_cancelled_image(world: World) -> None:
    job = world.started_job(3)
    tasks = overtaken("reserve.before_commit", partial(world.reserve, job), partial(cancel_job, job.pk))
    assert len(tasks) == 3, "they were handed out a moment before"
    assert world.tally(job) == {"cancelled": 3}
    assert set(JobTask.objects.values_list("leased_until", flat=True)) == {None}
    assert {answer.status for answer in world.post(job, [world.success(tasks[0])])} == {"cancelled"}


def test_a_result_and_a_cancel_at_once_end_in_received_or_cancelled(world: World) -> None:
    job = world.started_job(2)
    tasks = world.reserve(job)
    post = partial(world.post, job, [world.success(task) for task in tasks])
    answers = overtaken("receive.before_commit", post, partial(cancel_job, job.pk))
    assert {answer.status for answer in answers} == {"queued"}
    world.background.run()
    job.refresh_from_db()
    assert (job.status, world.tally(job)) == ("REVOKED", {"processed": 2})


def test_a_retry_keeps_what_is_done_and_repeats_the_rest(light_world: World) -> None:
    job = half_done(light_world)
    cancel_job(job.pk)
    assert retry_job(job)
    job.refresh_from_db()
    assert (job.status, job.run) == ("PENDING", 2)
    assert light_world.tally(job) == {"processed": 1, "received": 1, "pending": 3}
    reopened = JobTask.objects.filter(job=job, status=TaskState.PENDING).order_by("position")
    assert [(row.run, row.attempt, row.reopened, row.error_code) for row in reopened] == [(2, 0, 1, "")] * 3
    assert min(row.position for row in reopened) > 5, "at the end, where the cursor will come"
    light_world.dispatch(job)
    assert light_world.standing(job) == 3
    light_world.work_off(job)
    light_world.assert_ended_exactly(job, 5)
    assert job.run == 2


@pytest.mark.parametrize("status", ["CREATED", "PENDING", "STARTED", "RETRY", "CANCELING"])
def test_a_retry_of_a_job_that_has_not_ended_changes_nothing(light_world: World, status: str) -> None:
    job = half_done(light_world)
    execute("UPDATE jobs_job SET status = %s", [status])
    before = (light_world.ledger_bytes(job), rows("SELECT * FROM jobs_job"))
    assert not retry_job(job)
    assert not retry_failed(job)
    assert (light_world.ledger_bytes(job), rows("SELECT * FROM jobs_job")) == before


def test_run_submits_a_new_job_leaves_a_running_one_alone_and_retries_a_final_one(light_world: World) -> None:
    job = light_world.job(2)
    for expected in ("PENDING", "PENDING"):
        run_job(job)
        job.refresh_from_db()
        assert job.status == expected
    light_world.dispatch(job)
    before = light_world.ledger_bytes(job)
    run_job(job)
    job.refresh_from_db()
    assert (job.status, job.run, light_world.ledger_bytes(job)) == ("STARTED", 1, before)
    cancel_job(job.pk)
    job.refresh_from_db()
    run_job(job)
    job.refresh_from_db()
    assert (job.status, job.run) == ("PENDING", 2)


def test_two_retries_at_once_reopen_once(world: World) -> None:
    job = half_done(world)
    cancel_job(job.pk)
    assert sorted(together(*[partial(retry_job, Job.objects.get(pk=job.pk)) for _ in range(2)])) == [
        False,
        True,
    ]
    job.refresh_from_db()
    assert job.run == 2
    assert set(JobTask.objects.values_list("reopened", flat=True)) == {0, 1}


def test_a_retry_that_dies_shows_no_run_with_the_progress_of_the_one_before(world: World) -> None:
    job = world.started_job(3)
    one, *others = world.reserve(job)
    failures = [world.error(task, retryable=False) for task in others]
    world.post(job, [world.success(one), *failures])
    world.background.run()
    watch = Watch([job.pk])
    assert watch.look() == []
    killed_at("refresh.counted", partial(retry_job, job))
    assert watch.look() == []
    world.background.dispatch(job.pk)
    world.background.run()
    assert watch.look() == []
    retry_job(job)
    assert check(at_rest=True) == watch.look() == []


def test_retry_failed_repeats_the_failed_ones_alone(light_world: World) -> None:
    job = half_done(light_world)
    cancel_job(job.pk)
    light_world.background.run()
    assert retry_failed(job)
    assert light_world.tally(job) == {"processed": 2, "pending": 1, "cancelled": 2}
    light_world.dispatch(job)
    assert light_world.work_off(job) == 1
    assert (job.status, light_world.tally(job)) == ("SUCCESS", {"processed": 3, "cancelled": 2})
    assert {(stage.status, stage.progress) for stage in job.stages.all()} == {("SUCCESS", 1.0)}
    assert light_world.figures(job)["total_images"] == 5


def test_a_retry_with_nothing_to_do_ends_at_once(light_world: World) -> None:
    job = light_world.started_job(2)
    light_world.work_off(job)
    finished = job.finished_at
    assert retry_job(job)
    light_world.background.refresh(job.pk)
    light_world.background.run()
    light_world.assert_ended_exactly(job, 2)
    assert job.run == 2
    assert job.finished_at is not None
    assert finished is not None
    assert job.finished_at > finished


def test_a_project_may_have_everything_processed_again(light_world: World) -> None:
    job = light_world.started_job(2)
    light_world.work_off(job)
    light_world.project.flags = {"reprocess_all_images": True}
    light_world.project.save()
    assert retry_job(Job.objects.get(pk=job.pk))
    assert light_world.tally(job) == {"pending": 2}
    light_world.dispatch(job)
    assert light_world.work_off(job) == 2
    light_world.assert_ended_exactly(job, 2)


def test_a_job_cancelled_while_collecting_is_collected_to_its_end_by_a_retry(
    light_world: World, settings: Settings
) -> None:
    settings.COLLECT_CHUNK = 3
    job = light_world.job(8)
    run_job(job)
    claim = claims.take(job.pk)
    assert claim is not None
    assert collect_chunk(claim)
    cancel_job(job.pk)
    assert not collect_chunk(claim), "the old driver has nothing to say any more"
    assert retry_job(job)
    light_world.dispatch(job)
    assert (light_world.standing(job), light_world.tally(job)) == (8, {"pending": 8})
    assert len(set(JobTask.objects.values_list("position", flat=True))) == 8
    light_world.work_off(job)
    light_world.assert_ended_exactly(job, 8)


def test_leftover_messages_of_an_earlier_run_are_not_handed_out_again(light_world: World) -> None:
    job = light_world.started_job(3)
    transitions.cancel(job.pk)  # and the queue could not be deleted: NATS was down
    ledger.cancel_pending(job.pk)
    assert retry_job(job)
    light_world.dispatch(job)
    assert (light_world.standing(job), job.queue_epoch) == (6, 1)
    tasks = light_world.reserve(job, 6)
    assert sorted(task.image_id for task in tasks) == sorted(
        JobTask.objects.values_list("image_id", flat=True)
    )
    wait_for(lambda: light_world.standing(job) == 3)
    light_world.post(job, [light_world.success(task) for task in tasks])
    light_world.background.run()
    light_world.assert_ended_exactly(job, 3)


def test_a_finish_decided_before_a_retry_does_not_end_the_new_run(light_world: World) -> None:
    job = light_world.started_job(2)
    tasks = light_world.reserve(job)
    light_world.post(job, [light_world.error(task, retryable=False) for task in tasks])
    stale, failed = Job.objects.get(pk=job.pk), ledger.count(job.pk)
    light_world.background.run()
    retry_job(job)
    light_world.dispatch(job)
    tasks = light_world.reserve(job)
    light_world.post(job, [light_world.success(task) for task in tasks])
    with arm("advance.after_pending"), pytest.raises(FailpointRaised):
        light_world.background.run("save")
    assert ledger.count(job.pk).open == 0
    assert not finish_job(stale, failed), "the verdict of run 1 says nothing about run 2"
    refresh_job(job.pk)
    job.refresh_from_db()
    assert job.status == "SUCCESS"


def test_clean_up_spares_a_job_that_was_started_again(light_world: World) -> None:
    job = light_world.started_job(2)
    cancel_job(job.pk)
    retry_job(job)
    assert not clean_up(job.pk, 1)
    light_world.dispatch(job)
    assert not clean_up(job.pk, 1)
    assert not clean_up(job.pk, 2)
    assert light_world.standing(job) == 2


def test_a_clean_up_and_a_retry_at_once_leave_the_new_queue_alone(world: World) -> None:
    job = world.started_job(2)
    transitions.cancel(job.pk)
    ledger.cancel_pending(job.pk)

    def start_again() -> None:
        retry_job(Job.objects.get(pk=job.pk))
        dispatch_job(job.pk)

    together(partial(clean_up, job.pk, 1), start_again)
    job.refresh_from_db()
    world.dispatch(job)
    world.work_off(job)
    world.assert_ended_exactly(job, 2)


def test_a_clean_up_holds_off_a_retry_and_nobody_else(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    job = world.started_job(1)
    transitions.cancel(job.pk)
    delete = TaskQueueManager.delete

    def hit_and_delete(queue: TaskQueueManager, job_id: int) -> bool:
        hit("test.row_is_held")
        return delete(queue, job_id)

    monkeypatch.setattr(TaskQueueManager, "delete", hit_and_delete)

    def look() -> None:
        rows("SELECT 1 FROM jobs_job FOR KEY SHARE NOWAIT")  # what a post needs
        with pytest.raises(OperationalError, match="could not obtain lock"):
            rows("SELECT 1 FROM jobs_job FOR NO KEY UPDATE NOWAIT")  # what a retry needs

    assert overtaken("test.row_is_held", partial(clean_up, job.pk, 1), look)


def test_a_deleted_job_takes_its_queue_along_and_leaves_its_predictions(world: World) -> None:
    job = half_done(world)
    key = job.pk
    delete_job(job)
    world.background.run()
    assert not Job.objects.filter(pk=key).exists()
    assert not JobTask.objects.filter(job_id=key).exists()
    assert not InboxEntry.objects.exists()
    assert TaskQueueManager().message_count(key) is None
    assert not AsyncJobStateManager(key).exists()
    assert Detection.objects.count() == 2


@pytest.mark.parametrize("point", ["save.claimed", "save.after_predictions", "save.after_commit"])
def test_a_job_deleted_while_its_results_are_saved_ends_without_a_quarrel(world: World, point: str) -> None:
    job = world.started_job(2)
    world.post(job, [world.success(task) for task in world.reserve(job)])
    entry = InboxEntry.objects.get()
    overtaken(point, partial(save_inbox_row, entry.pk), partial(delete_job, Job.objects.get(pk=job.pk)))
    world.background.run()
    assert not Job.objects.exists()
    assert not InboxEntry.objects.exists()


def test_a_job_deleted_while_somebody_posts_to_it_ends_without_a_quarrel(world: World) -> None:
    job = world.started_job(2)
    images = list(JobTask.objects.values_list("image_id", flat=True))

    def post() -> None:
        with transaction.atomic():
            assert ledger.keep_job(job.pk)
            hit("post.kept_the_job")
            ledger.lock(job.pk, images)

    overtaken("post.kept_the_job", post, partial(delete_job, Job.objects.get(pk=job.pk)))
    assert not Job.objects.exists()

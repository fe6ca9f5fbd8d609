"""Publishing: every pending image stands in the queue in the end, and the cursor never runs ahead of it."""

from __future__ import annotations

from functools import partial

import pytest
from pytest_django.fixtures import Settings

from ami.base.database import execute, rows
from ami.base.failpoints import FailpointRaised, arm
from ami.embedded.nats import Nats
from ami.jobs.lifecycle import publish
from ami.jobs.lifecycle.delete import delete_job
from ami.jobs.lifecycle.dispatch import dispatch_job
from ami.jobs.lifecycle.enqueue import run_job
from ami.jobs.models import Job, JobTask
from ami.jobs.tests.faults import bring_back, delete_stream, killed_at, lose_claims, pending_sets, together
from ami.jobs.tests.world import World
from ami.taskqueue import AsyncJobStateManager, TaskQueueManager

pytestmark = pytest.mark.integration


@pytest.fixture
def created(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """Every (job, epoch) for which a stream was created, noted on the way to the real server."""
    noted: list[tuple[int, int]] = []
    create = TaskQueueManager.create

    def note_and_create(queue: TaskQueueManager, job_id: int, epoch: int) -> None:
        noted.append((job_id, epoch))
        create(queue, job_id, epoch)

    monkeypatch.setattr(TaskQueueManager, "create", note_and_create)
    return noted


def submitted(world: World, images: int) -> Job:
    """A job that waits for its first dispatch."""
    job = world.job(images)
    run_job(job)
    world.background.asked.clear()
    return job


def alter(job: Job, change: str) -> None:
    """Change a job's row behind the back of who works on it."""
    execute(f"UPDATE jobs_job SET {change} WHERE id = %s", [job.pk])


def in_ledger(job: Job) -> list[int]:
    """The images of a job's ledger."""
    return list(JobTask.objects.filter(job=job).values_list("image_id", flat=True))


def epoch_and_cursor(job: Job) -> tuple[int, int]:
    """Which incarnation of the stream, and up to which position it is filled."""
    job.refresh_from_db()
    return job.queue_epoch, job.published_to


def test_images_are_handed_out_in_ledger_order(light_world: World) -> None:
    job = light_world.started_job(6, shuffle=True)
    order = JobTask.objects.filter(job=job).order_by("position").values_list("image_id", flat=True)
    assert [task.image_id for task in light_world.reserve(job)] == list(order)


def test_a_window_of_messages_stands_in_the_stream_and_is_filled_up_when_half_empty(
    light_world: World, settings: Settings
) -> None:
    settings.DISPATCH_WINDOW = 4
    settings.PROGRESS_INTERVAL_SECONDS = 0
    job = light_world.started_job(10)
    assert (light_world.standing(job), epoch_and_cursor(job)) == (4, (1, 4))
    for batch, asked, standing in ((2, False, 2), (1, True, 1)):
        tasks = light_world.obtain(job, batch)
        light_world.post(job, [light_world.success(task) for task in tasks])
        light_world.background.run("save")
        assert (("dispatch", job.pk) in light_world.background.asked) is asked
        assert light_world.standing(job) == standing
    light_world.background.run("dispatch")
    assert (light_world.standing(job), epoch_and_cursor(job)) == (4, (1, 7))
    assert light_world.work_off(job, batch=3) == 7
    light_world.assert_ended_exactly(job, 10)


def test_a_slice_that_ran_out_of_time_is_followed_by_another(light_world: World, settings: Settings) -> None:
    settings.DISPATCH_SLICE_SECONDS = 0
    job = submitted(light_world, 3)
    dispatch_job(job.pk)
    assert light_world.standing(job) is None
    assert ("dispatch", job.pk) in light_world.background.asked
    settings.DISPATCH_SLICE_SECONDS = 60
    light_world.background.run("dispatch")
    assert light_world.standing(job) == 3


def test_nothing_is_published_before_all_is_collected(light_world: World, settings: Settings) -> None:
    settings.COLLECT_CHUNK = 3
    job = submitted(light_world, 8)
    with arm("collect.after_chunk"), pytest.raises(FailpointRaised):
        dispatch_job(job.pk)
    assert light_world.standing(job) is None
    light_world.dispatch(job)
    assert light_world.standing(job) == 8


def test_the_cursor_moves_only_after_the_server_confirmed(light_world: World) -> None:
    job = submitted(light_world, 3)
    with arm("publish.first"), pytest.raises(FailpointRaised):
        dispatch_job(job.pk)
    assert (light_world.standing(job), epoch_and_cursor(job)) == (0, (1, 0))
    light_world.dispatch(job)
    assert (light_world.standing(job), epoch_and_cursor(job)) == (3, (1, 3))


@pytest.mark.parametrize("change", ["driver = 'another'", "run = run + 1", "queue_epoch = queue_epoch + 1"])
def test_a_slice_ends_when_driver_run_or_epoch_changed(
    light_world: World, settings: Settings, change: str
) -> None:
    settings.PUBLISH_CHUNK = 2
    job = submitted(light_world, 6)
    with arm("publish.first", partial(alter, job, change)):
        dispatch_job(job.pk)
    assert (light_world.standing(job), epoch_and_cursor(job)[1]) == (2, 0)


@pytest.mark.parametrize("change", ["status = 'REVOKED'", "driver = 'another'", "run = run + 1"])
def test_who_lost_the_claim_creates_no_stream(
    light_world: World, created: list[tuple[int, int]], change: str
) -> None:
    job = submitted(light_world, 3)
    with arm("collect.after_chunk", partial(alter, job, change)):
        dispatch_job(job.pk)
    assert (created, epoch_and_cursor(job)) == ([], (0, 0))


def test_a_crash_before_the_stream_is_made_raises_the_epoch_again(
    world: World, created: list[tuple[int, int]]
) -> None:
    job = submitted(world, 3)
    killed_at("publish.after_epoch", lambda: dispatch_job(job.pk))
    assert (world.standing(job), epoch_and_cursor(job)) == (None, (1, 0))
    lose_claims()
    world.dispatch(job)
    assert created == [(job.pk, 2)]
    assert (world.standing(job), epoch_and_cursor(job)) == (3, (2, 3))
    world.work_off(job)
    world.assert_ended_exactly(job, 3)


def test_a_crash_while_publishing_loses_and_doubles_nothing(world: World, settings: Settings) -> None:
    settings.PUBLISH_CHUNK = 2
    job = submitted(world, 7)
    killed_at("publish.half", lambda: dispatch_job(job.pk))
    assert (world.standing(job), epoch_and_cursor(job)) == (2, (1, 2))
    lose_claims()
    world.dispatch(job)
    assert world.standing(job) == 7
    world.work_off(job)
    world.assert_ended_exactly(job, 7)


def test_a_repeated_publish_is_dropped_by_the_server(light_world: World) -> None:
    job = light_world.started_job(4)
    Job.objects.filter(pk=job.pk).update(published_to=0)  # the process died before it noted the confirmation
    light_world.dispatch(job)
    assert (light_world.standing(job), epoch_and_cursor(job)) == (4, (1, 4))


def test_of_two_dispatches_at_once_one_does_the_work(world: World, created: list[tuple[int, int]]) -> None:
    job = submitted(world, 5)
    together(partial(dispatch_job, job.pk), partial(dispatch_job, job.pk))
    world.background.run("dispatch")
    assert created == [(job.pk, 1)]
    assert world.standing(job) == 5


def test_no_epoch_is_ever_created_twice(world: World, created: list[tuple[int, int]]) -> None:
    job = submitted(world, 3)
    for _ in range(2):
        with arm("publish.after_epoch"), pytest.raises(FailpointRaised):
            dispatch_job(job.pk)
        world.dispatch(job)
        delete_stream(job)
    world.dispatch(job)
    assert created == sorted(set(created))
    assert world.standing(job) == 3


def test_a_rebuilt_queue_holds_what_is_pending_and_redis_what_is_open(light_world: World) -> None:
    job = light_world.started_job(5)
    done, broken, accepted, held, waiting = light_world.reserve(job)
    light_world.post(job, [light_world.success(done), light_world.error(broken, retryable=False)])
    light_world.background.run("save")
    light_world.post(job, [light_world.success(accepted)])
    light_world.background.asked.clear()
    delete_stream(job)
    light_world.dispatch(job)
    assert light_world.standing(job) == 2
    assert pending_sets(job) == (
        {held.image_id, waiting.image_id},
        {held.image_id, waiting.image_id, accepted.image_id},
    )


def test_the_claim_is_held_while_the_pending_sets_of_a_large_job_are_written(
    light_world: World, monkeypatch: pytest.MonkeyPatch, settings: Settings
) -> None:
    settings.CLAIM_SECONDS = 60
    monkeypatch.setattr(publish, "INDEX_BLOCK", 2)
    job = submitted(light_world, 5)
    left: list[float] = []

    def look_and_age() -> None:
        left.extend(
            rows("SELECT EXTRACT(EPOCH FROM driver_until - clock_timestamp())::float8 FROM jobs_job")[0]
        )
        alter(job, "driver_until = driver_until - interval '40 s'")

    with arm("publish.index_block", look_and_age):
        dispatch_job(job.pk)
    assert len(left) > 5
    assert min(left) > 50
    assert pending_sets(job) == (set(images := in_ledger(job)), set(images))


def test_a_slice_that_lost_its_claim_while_it_wrote_the_pending_sets_publishes_nothing(
    light_world: World,
) -> None:
    job = submitted(light_world, 3)
    with arm("publish.index_block", lambda: alter(job, "driver = 'another'")):
        dispatch_job(job.pk)
    assert light_world.standing(job) == 0
    assert not AsyncJobStateManager(job.pk).exists()
    alter(job, "driver_until = NULL")
    light_world.dispatch(job)
    light_world.work_off(job)
    light_world.assert_ended_exactly(job, 3)


def test_with_nats_down_the_job_waits_and_a_later_dispatch_publishes(
    light_world: World, lonely_nats: Nats
) -> None:
    job = submitted(light_world, 3)
    lonely_nats.kill()
    dispatch_job(job.pk)
    job.refresh_from_db()
    assert (job.status, job.collected_at is not None, job.published_to) == ("STARTED", True, 0)
    assert rows("SELECT driver, driver_until FROM jobs_job WHERE id = %s", [job.pk]) == [("", None)]
    assert light_world.background.asked == [("dispatch", job.pk)], "the dispatch asked to be repeated"
    bring_back(lonely_nats)
    light_world.dispatch(job)
    assert light_world.standing(job) == 3
    light_world.work_off(job)
    light_world.assert_ended_exactly(job, 3)


def test_a_dispatch_of_a_job_that_is_deleted_meanwhile_ends_quietly(world: World) -> None:
    job = submitted(world, 3)
    with arm("collect.after_chunk", lambda: delete_job(job)):
        dispatch_job(job.pk)
    world.background.run()
    dispatch_job(job.pk)
    assert world.standing(job) is None

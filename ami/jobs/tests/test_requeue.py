"""Dead letters are done again: only the chosen ones, once, with exact numbers to the end."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

from ami.base.database import execute, rows
from ami.base.errors import InvalidInput
from ami.jobs.invariants import Watch, check
from ami.jobs.lifecycle.cancel import cancel_job
from ami.jobs.lifecycle.delete import delete_job
from ami.jobs.lifecycle.enqueue import run_job
from ami.jobs.lifecycle.requeue import images_by_job, requeue, requeue_each
from ami.jobs.lifecycle.retry import retry_failed, retry_job
from ami.jobs.models import Attempt, DeadLetter, Job, JobLog, JobTask
from ami.jobs.tests.faults import overtaken, together
from ami.jobs.tests.world import World
from ami.main.models import SourceImage

pytestmark = pytest.mark.integration


def ended_job(world: World, failed: int = 3, done: int = 1) -> tuple[Job, list[int]]:
    """An ended job with `failed` dead letters and `done` processed images; the images that failed."""
    job = world.started_job(failed + done)
    tasks = world.reserve(job)
    bad = [world.error(task, f"broken {n}", retryable=False) for n, task in enumerate(tasks[:failed])]
    world.post(job, [*bad, *(world.success(task) for task in tasks[failed:])])
    world.background.run()
    job.refresh_from_db()
    assert job.is_final
    return job, sorted(task.image_id for task in tasks[:failed])


def unchanged(world: World, job: Job) -> tuple[Any, ...]:
    """Everything that a refused request must leave alone."""
    return world.ledger_bytes(job), rows("SELECT * FROM jobs_job WHERE id = %s", [job.pk])


def test_a_dead_letter_is_a_failed_row_whatever_it_failed_of(light_world: World) -> None:
    job, _ = ended_job(light_world)
    no_file = light_world.job(1)
    SourceImage.objects.filter(capture_sets=no_file.source_image_collection_id).update(path="")
    run_job(no_file)
    light_world.dispatch(no_file)
    gone = light_world.started_job(1)
    SourceImage.objects.filter(job_tasks__job=gone).delete()
    letters = DeadLetter.objects.order_by("failed_at")
    assert {letter.error_code for letter in letters} == {"worker_error", "no_url", "capture_deleted"}
    assert [letter.job_id for letter in letters] == [job.pk] * 3 + [no_file.pk, gone.pk]
    assert all(letter.failed_at == letter.finished_at for letter in letters)
    assert JobTask.objects.filter(status=3).count() == len(letters) == 5
    assert {letter.meaning for letter in letters.filter(job=job)} == {"The worker reported an error"}


def test_only_the_chosen_images_are_done_again_and_the_numbers_are_exact(light_world: World) -> None:
    job, images = ended_job(light_world)
    assert (job.status, light_world.figures(job)["failed"]) == ("FAILURE", 3)
    done = requeue(job.pk, images[:2], by="user 7")
    assert (done.images, done.left, done.why) == (2, 0, "")
    job.refresh_from_db()
    assert (job.status, job.run, job.finished_at) == ("PENDING", 2, None)
    assert light_world.tally(job) == {"pending": 2, "failed": 1, "processed": 1}
    figures = light_world.figures(job)
    assert (figures["total_images"], figures["failed"], figures["remaining"]) == (4, 1, 2)
    light_world.dispatch(job)
    assert light_world.standing(job) == 2
    assert light_world.work_off(job) == 2
    assert (job.status, light_world.tally(job)) == ("SUCCESS", {"processed": 3, "failed": 1})
    figures = light_world.figures(job)
    assert (figures["captures"], figures["failed"], figures["remaining"]) == (3, 1, 0)
    assert light_world.row(job, images[2]).run == 1, "a letter that nobody chose keeps its run"
    log = JobLog.objects.filter(job=job).values_list("message", flat=True)
    assert "Job started again by user 7 (run 2) for 2 images." in log


def test_all_letters_of_a_job_are_done_again_to_a_success(light_world: World) -> None:
    job, _ = ended_job(light_world)
    assert requeue(job.pk).images == 3
    light_world.dispatch(job)
    assert light_world.work_off(job) == 3
    light_world.assert_ended_exactly(job, 4)
    assert not DeadLetter.objects.exists()


def test_a_requeue_breaks_no_invariant_on_its_way(light_world: World) -> None:
    watch = Watch()
    job, images = ended_job(light_world)
    kept, _ = ended_job(light_world)
    for chosen in (images[:1], images[1:], None):
        assert (check(at_rest=True), watch.look(), light_world.leftovers()) == ([], [], [])
        requeue(job.pk, chosen)
        assert (check(), watch.look()) == ([], [])
        light_world.dispatch(job)
        for task in light_world.reserve(job)[1:]:
            light_world.post(job, [light_world.error(task, retryable=False)])
        assert (check(), watch.look()) == ([], [])
        light_world.let_leases_run_out(job)
        tasks = light_world.obtain(job, 1)
        light_world.post(job, [light_world.success(task) for task in tasks])
        light_world.background.run()
    job.refresh_from_db()
    light_world.assert_ended_exactly(job, 4)
    assert (job.run, light_world.tally(kept)) == (4, {"failed": 3, "processed": 1})
    assert (check(at_rest=True), watch.look(), light_world.leftovers()) == ([], [], [])


def test_the_attempts_of_earlier_runs_stay_readable(light_world: World) -> None:
    job, (image,) = ended_job(light_world, failed=1)
    requeue(job.pk)
    light_world.dispatch(job)
    (task,) = light_world.reserve(job)
    light_world.post(job, [light_world.error(task, "broken again", retryable=False)])
    light_world.background.run()
    history = Attempt.objects.filter(job=job, image_id=image).order_by("run", "attempt")
    assert [(row.run, row.attempt, row.error_text) for row in history] == [
        (1, 1, "broken 0"),
        (2, 1, "broken again"),
    ]
    letter = DeadLetter.objects.get()
    assert (letter.run, letter.attempts_used, letter.reopened) == (2, 1, 1)


def test_a_requeued_image_has_all_its_attempts_again(light_world: World) -> None:
    job = light_world.started_job(1)
    for _ in range(3):
        light_world.post(job, [light_world.error(light_world.obtain(job, 1)[0])])
        light_world.let_leases_run_out(job)
    light_world.background.run()
    job.refresh_from_db()
    assert (DeadLetter.objects.get().attempts_used, job.status) == (3, "FAILURE")
    requeue(job.pk)
    light_world.dispatch(job)
    assert [task.attempt for task in light_world.reserve(job)] == [1]


@pytest.mark.parametrize("status", ["PENDING", "STARTED", "RETRY", "CANCELING"])
def test_a_job_that_has_not_ended_is_left_alone_and_says_so(light_world: World, status: str) -> None:
    job, images = ended_job(light_world)
    execute("UPDATE jobs_job SET status = %s", [status])
    before = unchanged(light_world, job)
    for chosen in (None, images):
        done = requeue(job.pk, chosen)
        assert (done.images, done.left) == (0, 3)
        assert "has not ended" in done.why
    assert unchanged(light_world, job) == before


def test_a_second_request_changes_nothing(light_world: World) -> None:
    job, images = ended_job(light_world)
    assert requeue(job.pk, images[:1]).images == 1
    before = unchanged(light_world, job)
    again = requeue(job.pk, images[:1])
    assert (again.images, again.left) == (0, 1)
    assert "has not ended" in again.why
    assert unchanged(light_world, job) == before


def test_a_job_without_such_letters_stays_as_it_ended(light_world: World) -> None:
    job, _ = ended_job(light_world, failed=0, done=2)
    before = unchanged(light_world, job)
    done = JobTask.objects.filter(job=job).values_list("image_id", flat=True)
    assert requeue(job.pk).why == "No image of this job is failed."
    assert requeue(job.pk, list(done)).why == "None of these images is failed in this job."
    assert retry_failed(job) == 0
    assert unchanged(light_world, job) == before


def test_images_of_other_jobs_are_counted_out_and_left_alone(light_world: World) -> None:
    job, images = ended_job(light_world)
    other, foreign = ended_job(light_world)
    before = unchanged(light_world, other)
    done = requeue(job.pk, [images[0], images[0], *foreign])
    assert (done.images, done.left) == (1, 3)
    assert done.why == "3 of the 4 images are not failed in this job."
    assert unchanged(light_world, other) == before


def test_a_cancelled_job_takes_its_letters_back_and_leaves_the_rest_cancelled(light_world: World) -> None:
    job = light_world.started_job(3)
    task = light_world.reserve(job, 1)[0]
    light_world.post(job, [light_world.error(task, retryable=False)])
    cancel_job(job.pk)
    assert requeue(job.pk, [task.image_id]).images == 1
    light_world.dispatch(job)
    assert light_world.work_off(job) == 1
    assert (job.status, light_world.tally(job)) == ("SUCCESS", {"processed": 1, "cancelled": 2})


def test_a_job_that_nobody_can_carry_out_is_refused(light_world: World) -> None:
    job, _ = ended_job(light_world)
    Job.objects.filter(pk=job.pk).update(pipeline=None)
    before = unchanged(light_world, job)
    with pytest.raises(InvalidInput, match="has no pipeline"):
        requeue(job.pk)
    assert unchanged(light_world, job) == before


def test_a_job_that_is_gone_says_so(light_world: World) -> None:
    job, images = ended_job(light_world)
    delete_job(job)
    (done,) = requeue_each({job.pk: images})
    assert (done.images, done.left, done.why) == (0, 3, f"There is no job {job.pk} any more.")


def test_jobs_are_done_one_by_one_and_one_that_refuses_stops_no_other(light_world: World) -> None:
    good, images = ended_job(light_world)
    bad, _ = ended_job(light_world)
    Job.objects.filter(pk=bad.pk).update(pipeline=None)
    letters = DeadLetter.objects.exclude(job=good, image_id=images[0])
    done = requeue_each(images_by_job(letters))
    assert [(one.job_id, one.images, one.left) for one in done] == [(good.pk, 2, 0), (bad.pk, 0, 3)]
    assert "has no pipeline" in done[1].why
    assert light_world.tally(good) == {"pending": 2, "failed": 1, "processed": 1}


def test_nothing_is_dispatched_before_the_commit(world: World) -> None:
    job, images = ended_job(world)
    world.background.asked.clear()

    def look() -> None:
        assert world.background.asked == []

    assert overtaken("retry.before_commit", partial(requeue, job.pk, images), look).images == 3
    assert ("dispatch", job.pk) in world.background.asked


def test_of_two_requests_at_once_one_reopens(world: World) -> None:
    job, images = ended_job(world)
    done = together(*[partial(requeue, job.pk, images) for _ in range(3)])
    assert sorted(one.images for one in done) == [0, 0, 3]
    assert all(one.why for one in done if not one.images)
    job.refresh_from_db()
    assert (job.run, world.tally(job)) == (2, {"pending": 3, "processed": 1})
    assert set(JobTask.objects.filter(status=0).values_list("reopened", flat=True)) == {1}


@pytest.mark.parametrize("other", ["requeue", "retry"])
def test_who_comes_while_a_request_holds_the_job_waits_and_changes_nothing(world: World, other: str) -> None:
    job, images = ended_job(world)
    late: list[object] = []

    def come_late() -> None:
        late.append(requeue(job.pk, images[1:]).images if other == "requeue" else retry_job(job))

    assert overtaken("retry.before_commit", partial(requeue, job.pk, images[:1]), come_late).images == 1
    assert not late[0]
    job.refresh_from_db()
    assert (job.run, world.tally(job)) == (2, {"pending": 1, "failed": 2, "processed": 1})


def test_a_requeue_and_a_deletion_at_once_end_without_a_quarrel(world: World) -> None:
    job, images = ended_job(world)
    deletion = partial(delete_job, Job.objects.get(pk=job.pk))
    assert overtaken("retry.before_commit", partial(requeue, job.pk, images), deletion).images == 3
    world.background.run()
    assert not Job.objects.exists()
    assert not JobTask.objects.exists()


def test_a_requeue_and_a_deletion_of_its_captures_at_once_end_exactly(world: World) -> None:
    job, images = ended_job(world)
    captures = SourceImage.objects.filter(pk__in=images[:1])
    overtaken("retry.before_commit", partial(requeue, job.pk, images), captures.delete)
    world.dispatch(job)
    world.work_off(job)
    assert (job.status, world.tally(job)) == ("SUCCESS", {"processed": 3, "failed": 1})
    assert DeadLetter.objects.get().error_code == "capture_deleted"

"""What jobs depend on is deleted: they hear of it first, and nobody who works on them comes across."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from ami.base.database import execute
from ami.base.failpoints import hit
from ami.jobs import ledger
from ami.jobs.lifecycle.cancel import cancel_job
from ami.jobs.lifecycle.delete import delete_job
from ami.jobs.lifecycle.save import save_inbox_row
from ami.jobs.models import Job, JobLog, JobTask
from ami.jobs.tests.faults import meanwhile, overtaken, pending_sets
from ami.jobs.tests.world import World
from ami.main.models import Deployment, Project, SourceImage
from ami.ml.models import Detection, Pipeline
from ami.taskqueue import AsyncJobStateManager, TaskQueueManager

pytestmark = pytest.mark.integration


def shuffled_ledger(job: Job) -> list[int]:
    """Turn the order of images around, so that it is not that of the rows; the images."""
    images = list(JobTask.objects.filter(job=job).order_by("id").values_list("image_id", flat=True))
    execute("UPDATE jobs_jobtask SET image_id = -image_id")
    for image, other in zip(images, reversed(images), strict=True):
        execute("UPDATE jobs_jobtask SET image_id = %s WHERE image_id = %s", [other, -image])
    return images


@pytest.mark.parametrize("way", ["captures", "project"])
def test_captures_deleted_while_somebody_posts_end_without_a_quarrel(
    world: World, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    job = world.started_job(6)
    images = shuffled_ledger(job)
    tasks = world.reserve(job)
    fail, calls = ledger.fail_deleted_captures, []

    def fail_and_hit(image_ids: list[int], text: str) -> list[int]:
        found = fail(image_ids, text)
        calls.append(len(image_ids))
        hit("test.failed")
        return found

    def post() -> None:
        try:
            world.post(Job.objects.get(pk=job.pk), [world.success(task) for task in tasks])
        except Job.DoesNotExist:
            assert way == "project"

    monkeypatch.setattr(ledger, "fail_deleted_captures", fail_and_hit)
    doomed = SourceImage.objects.filter(pk__in=images) if way == "captures" else world.project
    overtaken("test.failed", doomed.delete, post)
    assert calls == [6], "once for all of them"
    assert not SourceImage.objects.filter(pk__in=images).exists()


def test_the_capture_of_a_job_deleted_while_that_is_cancelled_ends_without_a_quarrel(world: World) -> None:
    capture = world.captures(1)[0]
    job = world.started_job(source_image_single=capture, source_image_collection=None)

    def cancel() -> None:
        with transaction.atomic():
            execute("SELECT 1 FROM jobs_job WHERE id = %s FOR NO KEY UPDATE", [job.pk])
            hit("cancel.holds_the_job")
            ledger.cancel_pending(job.pk)

    overtaken("cancel.holds_the_job", cancel, SourceImage.objects.filter(pk=capture.pk).delete)
    assert world.tally(job) == {"cancelled": 1}
    job.refresh_from_db()
    assert job.source_image_single is None


def test_deleting_captures_asks_the_ledger_once_however_many_they_are(light_world: World) -> None:
    job = light_world.started_job(12)
    images = list(job.tasks.values_list("image_id", flat=True))

    def statements(some: list[int]) -> int:
        with CaptureQueriesContext(connection) as counted:
            SourceImage.objects.filter(pk__in=some).delete()
        return len(counted)

    assert statements(images[:8]) <= statements(images[8:10])


@pytest.mark.parametrize("status", ["running", "cancelled"])
@pytest.mark.parametrize("how", ["row", "rows"])
def test_a_capture_deleted_while_its_result_is_saved_takes_its_predictions_along(
    world: World, status: str, how: str
) -> None:
    job, entry = world.accepted_job(2)
    if status == "cancelled":
        cancel_job(job.pk)
    lost = SourceImage.objects.filter(pk=world.inbox_images()[0][0])
    delete = lost.get().delete if how == "row" else lost.delete
    overtaken("save.before_commit", partial(save_inbox_row, entry.pk), delete)
    assert not lost.exists()
    assert Detection.objects.count() == 2, "of the other one"


def test_a_deleted_capture_is_seen_in_the_progress_of_its_jobs(world: World) -> None:
    job = world.started_job(2)
    lost = JobTask.objects.filter(job=job).values_list("image_id", flat=True)[0]
    SourceImage.objects.get(pk=lost).delete()
    assert world.row(job, lost).error_code == "capture_deleted"
    assert world.background.asked == [("refresh", job.pk)]
    world.background.run()
    assert world.figures(job)["failed"] == 1
    assert lost not in pending_sets(job)[0]


OWNERS: dict[str, Callable[[World], object]] = {
    "deployment": lambda world: Deployment.objects.get(pk=world.deployment.pk).delete(),
    "deployments": lambda _: Deployment.objects.all().delete(),
    "project": lambda world: Project.objects.get(pk=world.project.pk).delete(),
    "projects": lambda _: Project.objects.all().delete(),
}


@pytest.mark.parametrize("owner", OWNERS)
def test_what_owns_a_job_takes_its_queue_along(world: World, owner: str) -> None:
    job = world.started_job(3, deployment=world.deployment)
    world.reserve(job, 1)
    OWNERS[owner](world)
    assert not Job.objects.exists()
    assert not JobTask.objects.exists()
    assert TaskQueueManager().message_count(job.pk) is None
    assert not AsyncJobStateManager(job.pk).exists()


@pytest.mark.parametrize("owner", ["deployment", "project"])
def test_what_owns_a_job_is_deleted_while_somebody_posts_without_a_quarrel(world: World, owner: str) -> None:
    job = world.started_job(3, deployment=world.deployment)
    images = shuffled_ledger(job)

    def post() -> None:
        with transaction.atomic():
            assert ledger.keep_job(job.pk)
            hit("post.kept_the_job")
            ledger.lock(job.pk, images)

    overtaken("post.kept_the_job", post, partial(OWNERS[owner], world))
    assert not Job.objects.exists()


def test_jobs_that_go_within_one_transaction_are_locked_in_order(world: World) -> None:
    jobs = [world.started_job(2, deployment=world.deployment) for _ in range(2)]
    execute("UPDATE jobs_jobtask SET job_id = %s - job_id", [jobs[0].pk + jobs[1].pk])
    keys = list(JobTask.objects.values_list("job_id", "image_id"))

    def delete() -> None:
        with transaction.atomic():
            OWNERS["deployment"](world)

    def reserve() -> None:
        with transaction.atomic():
            ledger.lock_many(keys)

    overtaken("cancel.after_commit", delete, reserve)
    assert not Job.objects.filter(pk__in=[job.pk for job in jobs]).exists()


def test_a_job_is_cancelled_before_it_is_deleted(world: World) -> None:
    job = world.started_job(3)
    seen: list[object] = []

    def look() -> None:
        seen.extend([Job.objects.get(pk=job.pk).status, world.tally(job)])

    with meanwhile("cancel.after_commit", look):
        delete_job(Job.objects.get(pk=job.pk))
    assert seen == ["REVOKED", {"cancelled": 3}]


@pytest.mark.parametrize("how", ["row", "rows"])
def test_a_deleted_pipeline_ends_its_jobs_and_says_why(world: World, how: str) -> None:
    under_way, created = world.started_job(3), world.job(2)
    world.post(under_way, [world.success(task) for task in world.reserve(under_way, 1)])
    world.pipeline.delete() if how == "row" else Pipeline.objects.all().delete()
    world.background.run()
    under_way.refresh_from_db()
    created.refresh_from_db()
    assert (under_way.status, created.status) == ("REVOKED", "CREATED")
    assert world.tally(under_way) == {"processed": 1, "cancelled": 2}, "what was accepted is saved"
    assert (
        "because its pipeline is being deleted" in JobLog.objects.get(message__contains="cancelled").message
    )
    assert world.standing(under_way) is None

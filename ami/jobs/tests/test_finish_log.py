"""The log of a job that ended says why images failed, in a few lines, whatever their number."""

from __future__ import annotations

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from ami.base.database import execute
from ami.jobs import ledger
from ami.jobs.lifecycle.failures import failure_lines
from ami.jobs.lifecycle.finish import finish_job
from ami.jobs.models import Job, JobLog, JobTask
from ami.jobs.tests.world import World

pytestmark = pytest.mark.integration


def failed_job(world: World, reasons: list[tuple[str, str]]) -> tuple[Job, list[int]]:
    """A started job with one image per (code, text), all of them failed; and the images in that order."""
    job = world.started_job(len(reasons))
    images = list(JobTask.objects.filter(job=job).order_by("position").values_list("image_id", flat=True))
    for image, (code, text) in zip(images, reasons, strict=True):
        execute(
            "UPDATE jobs_jobtask SET status = 3, error_code = %s, error_text = %s WHERE image_id = %s",
            [code, text, image],
        )
    return job, images


def test_each_kind_of_failure_is_one_warning_with_the_first_ids(light_world: World) -> None:
    reasons = [("worker_error", "boom")] * 12 + [("unreadable_image", "no\nJPEG")] + [("save_error", "")] * 2
    job, images = failed_job(light_world, reasons)
    assert finish_job(job, ledger.count(job.pk))
    logged = JobLog.objects.filter(job=job).order_by("pk").values_list("level", "message")
    ids = [str(image) for image in images]
    assert list(logged)[-4:-1] == [
        ("WARNING", f"12 images failed: boom (worker_error); images {', '.join(ids[:10])} and 2 more"),
        (
            "WARNING",
            f"2 images failed: The result could not be saved (save_error); images {', '.join(ids[13:])}",
        ),
        ("WARNING", f"1 image failed: no JPEG (unreadable_image); image {ids[12]}"),
    ]
    assert list(logged)[-1][1].startswith("Job failed")


def test_an_error_of_a_worker_is_readable_in_the_log(light_world: World) -> None:
    job = light_world.started_job(2)
    good, bad = light_world.reserve(job)
    light_world.post(job, [light_world.success(good), light_world.error(bad, "too dark", retryable=False)])
    light_world.background.run()
    job.refresh_from_db()
    assert job.status == "SUCCESS"
    warning = JobLog.objects.get(job=job, level="WARNING")
    assert warning.message == f"1 image failed: too dark (worker_error); image {bad.image_id}"


def test_of_many_kinds_the_last_line_counts_the_rest(light_world: World) -> None:
    job, _ = failed_job(light_world, [("worker_error", f"error {number}") for number in range(25)])
    lines = failure_lines(job.pk, 25)
    assert len(lines) == 20
    assert lines[-1].message == "6 images failed for other reasons."


def test_a_long_error_leaves_room_for_the_ids(light_world: World) -> None:
    job, images = failed_job(light_world, [("worker_error", "x" * 2_000)])
    assert finish_job(job, ledger.count(job.pk))
    assert JobLog.objects.get(job=job, level="WARNING").message.endswith(f"image {images[0]}")


def test_why_images_failed_costs_one_statement_and_nothing_without_a_failure(light_world: World) -> None:
    costs = []
    for reasons in ([], [("worker_error", "boom")], [("worker_error", f"{number}") for number in range(9)]):
        job, _ = failed_job(light_world, [*reasons, ("worker_error", "boom")])
        if not reasons:
            execute("UPDATE jobs_jobtask SET status = 2 WHERE job_id = %s", [job.pk])
        counts = ledger.count(job.pk)
        with CaptureQueriesContext(connection) as queries:
            assert finish_job(job, counts)
        costs.append(len(queries))
        assert JobLog.objects.filter(job=job, level="WARNING").exists() == bool(reasons)
    assert costs == [costs[0], costs[0] + 1, costs[0] + 1]

"""The story of one image: how it ended, and its attempts in order of time."""

from __future__ import annotations

import pytest
from pytest_django.fixtures import Settings

from ami.jobs.lifecycle.cancel import cancel_job
from ami.jobs.lifecycle.retry import retry_failed
from ami.jobs.models import Job
from ami.jobs.tests.tracing import at
from ami.jobs.tests.world import BOB, World
from ami.jobs.tracing import NotInJob, text_of, trace
from ami.jobs.tracing.phrases import moment

pytestmark = pytest.mark.integration

AGAIN = "A retry of the job repeats it."


@pytest.fixture(autouse=True)
def patient(settings: Settings) -> None:
    """Leases outlast the test."""
    settings.NATS_TASK_TTR = 100


def story(job: Job, image_id: int) -> list[str]:
    """What the timeline of an image tells, without the times."""
    found = trace(job.pk, image_id)
    before = [event.at for event in found.timeline if not event.text.startswith("The image is")]
    assert before == sorted(before)
    return [event.text for event in found.timeline]


def test_a_processed_image(light_world: World) -> None:
    job = light_world.started_job(1)
    light_world.work_off(job)
    image_id = light_world.first_image(job)
    found = trace(job.pk, image_id)
    (finding,) = found.findings
    until = at(light_world.row(job, image_id).finished_at, found.now)
    assert finding.where == f"Processed by alice's gpu at {until} with 2 detections and 2 classifications."
    assert finding.next == "Nothing more happens to it."
    assert story(job, image_id) == [
        "The job was created.",
        "Run 1 was submitted.",
        "Run 1 started.",
        "The image is processed.",
    ]


def test_a_failed_image_and_its_attempts(light_world: World, settings: Settings) -> None:
    settings.RETRY_BACKOFF_SECONDS = 0
    job = light_world.started_job(1)
    (task,) = light_world.reserve(job)
    light_world.expire(job, [task])
    (task,) = light_world.obtain(job, 1, BOB)
    light_world.post(job, [light_world.error(task, "out of memory")], BOB)
    (task,) = light_world.obtain(job, 1)
    light_world.post(job, [light_world.error(task, "boom. really.")])
    light_world.background.run()
    found = trace(job.pk, task.image_id)
    (finding,) = found.findings
    ended = at(light_world.row(job, task.image_id).finished_at, found.now)
    how = "in attempt 3 of 3 at alice's gpu with worker_error: boom. really."
    assert (finding.where, finding.next) == (f"Failed at {ended} {how}", AGAIN)
    silent = "delivery_exhausted: No answer within 100 s from alice's gpu."
    assert story(job, task.image_id)[3:] == [
        f"Lease 1 of run 1 at alice's gpu ended with {silent}",
        "Lease 2 of run 1 at bob's gpu ended with worker_error: out of memory",
        "Lease 3 of run 1 at alice's gpu ended with worker_error: boom. really.",
        "The image is failed.",
    ]


def test_an_image_that_is_tried_again_keeps_its_story(light_world: World) -> None:
    job = light_world.started_job(1)
    (task,) = light_world.reserve(job)
    light_world.post(job, [light_world.error(task, "boom", retryable=False)])
    light_world.background.run()
    job.refresh_from_db()
    assert retry_failed(job)
    light_world.dispatch(job)
    light_world.reserve(job)
    told = story(job, task.image_id)
    assert "Lease 1 of run 1 at alice's gpu ended with worker_error: boom" in told
    assert "Run 2 was submitted." in told
    assert told[-1] == "The lease of alice's gpu ends."
    lines = text_of(trace(job.pk, task.image_id)).splitlines()
    assert lines[-2].endswith("  now"), "what is to come stands below"


def test_a_cancelled_image(light_world: World) -> None:
    job = light_world.started_job(1)
    cancel_job(job.pk)
    image_id = light_world.first_image(job)
    found = trace(job.pk, image_id)
    (finding,) = found.findings
    ended = light_world.row(job, image_id).finished_at
    assert ended is not None
    assert (finding.where, finding.next) == (f"Cancelled at {moment(ended, found.now)}.", AGAIN)


def test_an_accepted_image_names_its_inbox_row(light_world: World) -> None:
    job, entry = light_world.accepted_job(2)
    told = story(job, light_world.first_image(job))
    assert told[-1] == f"A result of alice's gpu was accepted in inbox row {entry.pk}."


def test_an_image_of_another_job_is_not_in_it(light_world: World) -> None:
    job, other = light_world.started_job(1), light_world.started_job(1)
    image_id = light_world.first_image(other)
    with pytest.raises(NotInJob, match=f"The job {job.pk} has no image {image_id}\\.$"):
        trace(job.pk, image_id)
    fresh = light_world.job(1)
    with pytest.raises(NotInJob, match="its captures are not all collected yet"):
        trace(fresh.pk, image_id)

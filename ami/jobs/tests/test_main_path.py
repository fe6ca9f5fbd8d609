"""The way of the data, from a job to its end, against real servers."""

from __future__ import annotations

import pytest

from ami.jobs.models import InboxEntry, Job, JobStage
from ami.jobs.tests.world import World
from ami.ml.models import Classification, Detection
from ami.taskqueue import AsyncJobStateManager

pytestmark = pytest.mark.integration


def figures(job: Job) -> dict[str, object]:
    """All figures of a job's stages by key."""
    return {
        param["key"]: param["value"] for stage in JobStage.objects.filter(job=job) for param in stage.params
    }


def test_a_job_ends_in_success_with_exact_numbers(world: World) -> None:
    job = world.started_job(images=7)
    assert world.standing(job) == 7
    assert world.work_off(job, batch=3) == 7
    assert job.status == "SUCCESS"
    assert job.finished_at is not None
    assert figures(job) == {
        "total_images": 7,
        "processed": 7,
        "remaining": 0,
        "failed": 0,
        "captures": 7,
        "detections": 14,
        "classifications": 14,
    }
    assert {stage.status for stage in job.stages.all()} == {"SUCCESS"}
    assert Detection.objects.count() == 14
    assert Classification.objects.count() == 14
    assert Classification.objects.all()[0].scores == [0.75, 0.25]


def test_an_ended_job_leaves_no_stream_no_keys_and_no_inbox(world: World) -> None:
    job = world.started_job(images=3)
    world.work_off(job)
    assert world.standing(job) is None
    assert not AsyncJobStateManager(job.pk).exists()
    assert not InboxEntry.objects.exists()

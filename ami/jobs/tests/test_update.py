"""What may still change in a job, and what follows from it."""

from __future__ import annotations

import pytest

from ami.base.errors import InvalidInput
from ami.jobs.lifecycle.update import update_job
from ami.jobs.tests.world import World

pytestmark = pytest.mark.integration


def keys(job: object) -> list[str]:
    return list(job.stages.order_by("position").values_list("key", flat=True))  # type: ignore[attr-defined]


def test_a_job_that_gets_its_pipeline_later_gets_its_stages_too(world: World) -> None:
    job = world.job(1, pipeline=None)
    assert keys(job) == []
    job = update_job(job, pipeline=world.pipeline)
    assert keys(job) == ["collect", "process", "results"]
    assert job.dispatch_mode == "async_api"


def test_a_delay_that_is_set_later_adds_its_stage(world: World) -> None:
    job = update_job(world.job(1), delay=5)
    assert keys(job) == ["delay", "collect", "process", "results"]


def test_what_a_submitted_job_works_on_is_fixed(world: World) -> None:
    job = world.started_job(1)
    with pytest.raises(InvalidInput, match="limit"):
        update_job(job, limit=1)
    assert update_job(job, name="Better name").name == "Better name"

"""Every line about a job has its `job_id`, and every line of a request its id (Celery: `ami/tests/e2e`)."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Iterator
from typing import Any

import pytest
import structlog
from django.conf import settings as project_settings
from django.utils.log import configure_logging as apply_logging

from ami.base.logs import configure_logging
from ami.jobs.models import InboxEntry
from ami.jobs.tests.api.lab import Lab, at
from ami.jobs.tests.world import World
from ami.taskqueue import QueueUnavailable, TaskQueueManager

pytestmark = [pytest.mark.integration, pytest.mark.django_db]


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> Iterator[io.StringIO]:
    """What the server writes with the settings of production."""
    stream = io.StringIO()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "stderr", stream)
        apply_logging(project_settings.LOGGING_CONFIG, configure_logging("json", "INFO"))
        yield stream
    apply_logging(project_settings.LOGGING_CONFIG, project_settings.LOGGING)


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    """Everything written so far, line by line."""
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_request_about_a_job_logs_its_id_and_the_jobs(lab: Lab, written: io.StringIO) -> None:
    job = lab.world.job(2)
    lab.client("superuser").post(at(job, "cancel"))
    found = lines(written)
    # A connection that the request happened to open outlives it, and says nothing of it.
    assert not any("request_id" in line for line in found if line["event"] == "taskqueue.connected")
    found = [line for line in found if line["event"] != "taskqueue.connected"]
    assert "job.cancelled" in {line["event"] for line in found}
    assert {line["job_id"] for line in found} == {job.pk}
    assert len({line["request_id"] for line in found}) == 1
    assert "job_id" not in structlog.contextvars.get_contextvars()


def test_lines_of_the_layers_below_have_them_too(
    lab: Lab, written: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        structlog.get_logger("ami.taskqueue").warning("taskqueue.something")
        raise QueueUnavailable("NATS did not answer.")

    job = lab.world.started_job(2)
    monkeypatch.setattr(TaskQueueManager, "reserve", broken)
    lab.client("worker").post(at(job, "tasks"), {"batch_size": 1})
    (found,) = [line for line in lines(written) if line["event"] == "taskqueue.something"]
    assert found["job_id"] == job.pk
    assert found["request_id"]


def test_saving_results_logs_the_job(
    light_world: World, written: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ami.jobs.lifecycle import save  # noqa: PLC0415 - patched here

    job = light_world.started_job(1)
    (task,) = light_world.reserve(job)
    light_world.post(job, [light_world.success(task)])

    def look(*_: object, **__: object) -> None:
        structlog.get_logger("ami.ml").info("ml.something")

    monkeypatch.setattr(save, "resolve_taxa", look)
    save.save_inbox_row(InboxEntry.objects.get(job=job).pk)
    found = [line for line in lines(written) if line["event"] == "ml.something"]
    assert [line["job_id"] for line in found] == [job.pk]

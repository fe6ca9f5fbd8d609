"""What an operator sees of a running platform: exact figures of all processes, and connected logs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
import requests
from prometheus_client.parser import text_string_to_metric_families

from ami.base.metrics.declare import TABLE
from ami.jobs.metrics import table  # noqa: F401 - fills the table
from ami.tests.e2e.conftest import running_platform
from ami.tests.e2e.database import Database
from ami.tests.e2e.made_up import TwoBoxes
from ami.tests.e2e.platform import PATIENCE_SECONDS, Platform
from ami.tests.e2e.project import Project

IMAGES = 6
Figures = dict[tuple[str, frozenset[str]], float]


@pytest.fixture
def watched(template_database: Database, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """A platform whose processes share their counters, and log as on a server."""
    folder = tmp_path_factory.mktemp("watched")
    settings = {"METRICS_DIR": str(folder / "metrics"), "LOG_FORMAT": "json"}
    with running_platform(template_database, folder, **settings) as platform:
        yield platform


def scrape(platform: Platform) -> tuple[set[str], Figures]:
    """The names on the page, and its figures by name and values of the labels other than the host."""
    answer = requests.get(f"{platform.url}/metrics", timeout=PATIENCE_SECONDS)
    assert answer.status_code == 200
    families = list(text_string_to_metric_families(answer.text))
    names = {f"{family.name}_total" if family.type == "counter" else family.name for family in families}
    figures: Figures = {}
    for sample in (sample for family in families for sample in family.samples):
        labels = frozenset(text for label, text in sample.labels.items() if label != "host")
        figures[sample.name, labels] = sample.value
    return names, figures


def test_figures_of_web_and_celery_are_exact_and_a_request_is_followed_through_all_logs(
    watched: Platform,
) -> None:
    project = Project.create(watched, TwoBoxes())
    project.upload_blank(IMAGES)
    job = project.work_off(project.start_job(), batch=2)
    watched.wait_until(lambda: _acknowledged(watched) >= IMAGES, "all messages are acknowledged")
    names, figures = scrape(watched)
    assert names == set(TABLE)

    def counted(name: str, *labels: str) -> float:
        return figures.get((name, frozenset(labels)), 0.0)

    assert counted("ami_tasks_reserved_total", "first", "web") == IMAGES
    assert counted("ami_results_received_total", "queued", "web") == IMAGES
    assert counted("ami_images_saved_total", "celery") == IMAGES
    assert counted("ami_queue_published_total", "celery") == IMAGES
    assert counted("ami_celery_tasks_total", "jobs.save", "SUCCESS", "celery") >= 1
    assert counted("ami_celery_task_seconds_count", "jobs.save", "celery") >= 1
    assert counted("ami_http_requests_total", "api:job-result", "POST", "200", "web") >= 1
    sources = ("postgres", "redis", "broker", "nats")
    assert {counted("ami_snapshot_source_up", source) for source in sources} == {1.0}
    _assert_logs_are_connected(watched, job.id)


def _acknowledged(platform: Platform) -> float:
    return sum(
        value
        for (name, labels), value in scrape(platform)[1].items()
        if name == "ami_queue_settled_total" and "ack" in labels
    )


def _assert_logs_are_connected(platform: Platform, job_id: int) -> None:
    """A retry is found again in Celery's log by the id of its request, line by line with its job."""
    platform.ask("POST", f"/jobs/{job_id}/retry/")
    (request_id,) = {
        line["request_id"] for line in _logged(platform, "web") if line["event"] == "job.retried"
    }

    def mine(program: str) -> list[dict[str, Any]]:
        return [line for line in _logged(platform, program) if line.get("request_id") == request_id]

    platform.wait_until(lambda: bool(mine("celery")), "Celery logs under the id of the request")
    assert {line["job_id"] for line in [*mine("web"), *mine("celery")]} == {job_id}


def _logged(platform: Platform, program: str) -> list[dict[str, Any]]:
    """The structured lines of a program."""
    written = platform.programs.log(program).read_text().splitlines()
    return [json.loads(line) for line in written if line.startswith("{")]

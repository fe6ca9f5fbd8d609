"""How much work waits, for autoscalers: exact, bounded, and only what the caller may know."""

from __future__ import annotations

from typing import Any

import pytest
from pytest_django import DjangoAssertNumQueries
from pytest_django.fixtures import Settings

from ami.jobs.metrics.backlog import NO_RATE, RATE_UNKNOWN
from ami.jobs.tests.api.lab import Lab, other_project
from ami.ml.models import Pipeline, ProjectPipelineConfig

pytestmark = [pytest.mark.integration, pytest.mark.django_db]

ADDRESS = "/api/v2/autoscaling/"


def only(lab: Lab, client: Any = None) -> dict[str, Any]:
    """The one pipeline that somebody sees."""
    answer = (client or lab.client("worker")).get(ADDRESS)
    assert answer.status_code == 200, answer.content
    (found,) = answer.json()["pipelines"]
    return dict(found)


def test_it_tells_what_waits_what_is_out_and_how_long_that_takes(lab: Lab) -> None:
    job = lab.world.started_job(6)
    lab.world.background.run()
    tasks = lab.world.reserve(job, 3)
    assert only(lab) == {
        "pipeline": lab.world.pipeline.slug,
        "name": lab.world.pipeline.name,
        "jobs": 1,
        "tasks_waiting": 3,
        "tasks_leased": 3,
        "workers_online": 0,
        "images_per_second": 0.0,
        "backlog_seconds": None,
        "reason": NO_RATE,
    }
    lab.world.post(job, [lab.world.success(task) for task in tasks])
    lab.world.background.run()
    found = only(lab)
    assert (found["tasks_waiting"], found["tasks_leased"], found["reason"]) == (3, 0, "")
    assert found["images_per_second"] > 0
    assert found["backlog_seconds"] == pytest.approx(3 / found["images_per_second"])


def test_a_pipeline_without_work_is_there_with_zeros(lab: Lab) -> None:
    found = only(lab)
    assert (found["jobs"], found["tasks_waiting"], found["backlog_seconds"]) == (0, 0, 0.0)


def test_one_pipeline_has_an_address_of_its_own(lab: Lab) -> None:
    slug = lab.world.pipeline.slug
    answer = lab.get(f"{ADDRESS}{slug}/", "worker")
    assert (answer.status_code, answer.json()["pipeline"]) == (200, slug)
    assert lab.get(f"{ADDRESS}nothing-of-ours/", "worker").status_code == 404


def test_a_worker_with_a_key_is_online_for_its_pipelines(lab: Lab) -> None:
    job = lab.world.started_job(2)
    machine = lab.machine()
    assert machine.post(f"/api/v2/jobs/{job.pk}/tasks/", {"batch_size": 1}).status_code == 200
    assert only(lab, machine)["workers_online"] == 1


def test_nobody_learns_of_projects_in_which_they_do_nothing(lab: Lab) -> None:
    project, _ = other_project()
    ProjectPipelineConfig.objects.create(project=project, pipeline=lab.world.pipeline)
    lab.world.started_job(4)
    stranger = lab.machine(lab.key(project))
    found = only(lab, stranger)
    assert (found["jobs"], found["tasks_waiting"], found["images_per_second"]) == (0, 0, 0.0)
    hidden = Pipeline.objects.create(name="Hidden", slug="hidden")
    ProjectPipelineConfig.objects.create(project=project, pipeline=hidden)
    assert lab.get(f"{ADDRESS}hidden/", "manager").status_code == 404


@pytest.mark.parametrize(
    ("who", "status"),
    [
        ("anonymous", 401),
        ("outsider", 403),
        ("member", 403),
        ("data_manager", 200),
        ("manager", 200),
        ("worker", 200),
        ("superuser", 200),
    ],
)
def test_workers_operators_and_the_staff_may_ask(lab: Lab, who: str, status: int) -> None:
    assert lab.get(ADDRESS, who).status_code == status


def test_more_jobs_cost_no_more_statements(
    lab: Lab, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    client = lab.client("worker")
    client.get(ADDRESS)
    for _ in range(3):
        lab.world.started_job(2)
    with django_assert_max_num_queries(5):
        client.get(ADDRESS)


def test_without_redis_it_says_what_it_does_not_know(lab: Lab, settings: Settings) -> None:
    lab.world.started_job(4)
    lab.world.background.run()
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    found = only(lab)
    assert (found["tasks_waiting"], found["tasks_leased"], found["images_per_second"]) == (4, None, None)
    assert (found["backlog_seconds"], found["reason"]) == (None, RATE_UNKNOWN)

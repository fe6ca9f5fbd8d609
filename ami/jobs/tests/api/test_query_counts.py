"""How often the database is asked: the same for one job as for many, and little on the hot path."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from ami.jobs.models import Job
from ami.jobs.tests.api.lab import JOBS, Lab, at

pytestmark = pytest.mark.integration

LIST_BUDGET = 6
DETAIL_BUDGET = 6
POLL_BUDGET = 4
FAILURES_BUDGET = 8
TASKS_BUDGET = 5
RESULT_BUDGET = 6


def statements(call: Callable[[], object]) -> list[str]:
    """The statements of a call."""
    with CaptureQueriesContext(
        connection,
    ) as captured:
        call()
    return [query["sql"] for query in captured.captured_queries]


def without_transaction_marks(sql: list[str]) -> list[str]:
    """The statements that do something."""
    return [line for line in sql if not re.match(r"(SAVEPOINT|RELEASE|ROLLBACK TO|BEGIN|COMMIT)", line)]


@pytest.mark.parametrize("who", ["anonymous", "member", "superuser"])
def test_a_list_costs_the_same_for_one_job_and_for_twenty(lab: Lab, who: str) -> None:
    client = lab.client(who)
    capture = lab.world.captures(1)[0]

    def make_jobs(count: int) -> None:
        for _ in range(count):
            lab.world.job(images=1, deployment=lab.world.deployment)
            lab.world.job(source_image_collection=None, source_image_single=capture)

    make_jobs(1)
    client.get(JOBS)
    few = statements(lambda: client.get(JOBS))
    make_jobs(10)
    many = statements(lambda: client.get(JOBS))
    assert len(many) == len(few) <= LIST_BUDGET, "\n".join(many)


def test_one_job_is_shown_with_few_statements(lab: Lab) -> None:
    job = lab.world.started_job()
    lab.get(at(job), "member")
    sql = statements(lambda: lab.get(at(job), "member"))
    assert len(sql) <= DETAIL_BUDGET, "\n".join(sql)


@pytest.mark.parametrize("who", ["anonymous", "member", "key"])
def test_a_page_of_failures_costs_the_same_for_one_and_for_twenty(lab: Lab, who: str) -> None:
    job = lab.world.started_job(images=20)
    first, *rest = lab.world.reserve(job)
    client = lab.machine() if who == "key" else lab.client(who)

    def page() -> list[str]:
        return statements(lambda: client.get(at(job, "failures")))

    lab.world.post(job, [lab.world.error(first, retryable=False)])
    page()
    few = page()
    lab.world.post(job, [lab.world.error(task, retryable=False) for task in rest])
    many = page()
    assert len(many) == len(few) <= FAILURES_BUDGET, "\n".join(many)


def test_a_poll_costs_the_same_however_many_jobs_there_are(lab: Lab) -> None:
    poll: dict[str, Any] = {
        "ids_only": 1,
        "incomplete_only": 1,
        "pipeline__slug__in": lab.world.pipeline.slug,
    }
    lab.world.started_job(images=1)
    lab.get(who="worker", **poll)
    few = statements(lambda: lab.get(who="worker", **poll))
    for _ in range(5):
        lab.world.started_job(images=1)
    many = statements(lambda: lab.get(who="worker", limit=10, **poll))
    assert len(many) == len(few) <= POLL_BUDGET, "\n".join(many)


def test_a_call_for_tasks_keeps_its_budget(lab: Lab) -> None:
    job = lab.world.started_job(images=60)
    lab.tasks(job, 10, "worker")
    sql = statements(lambda: lab.tasks(job, 50, "worker"))
    assert len(without_transaction_marks(sql)) <= TASKS_BUDGET, "\n".join(sql)


def test_a_post_of_fifty_results_keeps_its_budget(lab: Lab) -> None:
    job = lab.world.started_job(images=60)
    first, *rest = (lab.success(task) for task in lab.tasks(job, 51, "worker"))
    lab.post(at(job, "result"), {"results": [first]}, "worker")
    answers = []
    sql = statements(lambda: answers.append(lab.post(at(job, "result"), {"results": rest}, "worker")))
    assert answers[0].json()["results_queued"] == 50
    assert len(without_transaction_marks(sql)) <= RESULT_BUDGET, "\n".join(sql)


def test_a_call_for_tasks_of_an_ended_job_costs_next_to_nothing(lab: Lab) -> None:
    job = lab.world.job()
    Job.objects.filter(pk=job.pk).update(status="SUCCESS")
    lab.tasks(job, 1, "worker")
    sql = statements(lambda: lab.tasks(job, 1, "worker"))
    assert len(sql) <= 1, "\n".join(sql)

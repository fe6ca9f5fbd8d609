"""POST /tasks/reserve/ and /jobs/next/: tasks over all jobs that a worker can serve, fairly between them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from pytest_django.fixtures import Settings

from ami.base.database import execute
from ami.embedded.nats import Nats
from ami.jobs.models import Job, JobTask
from ami.jobs.tests.api.lab import Lab, other_project
from ami.main.models import Project
from ami.ml.models import Pipeline, ProjectPipelineConfig, WorkerInstance
from ami.taskqueue.tests.waiting import freeze, stopwatch

pytestmark = pytest.mark.integration

RESERVE, NEXT = "/api/v2/tasks/reserve/", "/api/v2/jobs/next/"


def reserve(client: Any, count: int, **body: Any) -> list[dict[str, Any]]:
    """Tasks for a worker."""
    answer = client.post(RESERVE, {"batch_size": count, **body})
    assert answer.status_code == 200, answer.content
    tasks: list[dict[str, Any]] = answer.json()["tasks"]
    return tasks


def by_job(tasks: list[dict[str, Any]]) -> dict[int, int]:
    """How many tasks of each job."""
    return dict(Counter(task["job_id"] for task in tasks))


def other_pipeline(lab: Lab, slug: str) -> Pipeline:
    """Another pipeline of the lab's project."""
    pipeline = Pipeline.objects.create(name=slug, slug=slug)
    ProjectPipelineConfig.objects.create(project=lab.world.project, pipeline=pipeline)
    return pipeline


def test_a_task_says_of_which_job_it_is_and_how_it_is_to_be_done(lab: Lab) -> None:
    Pipeline.objects.filter(pk=lab.world.pipeline.pk).update(default_config={"a": 1, "b": 1})
    ProjectPipelineConfig.objects.update(config={"b": 2})
    job = lab.world.started_job(images=1)
    answer = lab.machine().post(RESERVE, {"batch_size": 4}).json()
    (task,) = answer.pop("tasks")
    row = JobTask.objects.get(job=job)
    token, url = task.pop("reply_subject"), task.pop("image_url")
    assert task == {
        "id": str(row.image_id),
        "image_id": str(row.image_id),
        "config": {"a": 1, "b": 2},
        "lease_seconds": answer["lease_seconds"],
        "attempt": 1,
        "job_id": job.pk,
        "pipeline_slug": lab.world.pipeline.slug,
    }
    assert url.startswith("https://images.example/")
    assert isinstance(token, str)
    assert (answer["retry_after"], answer["reason"]) == (None, "")


def test_in_the_first_round_each_job_gives_an_equal_share_and_then_those_that_have_more(lab: Lab) -> None:
    large, small, tiny = (lab.world.started_job(images) for images in (30, 10, 2))
    tasks = reserve(lab.machine(), 18)
    assert by_job(tasks) == {large.pk: 8, small.pk: 8, tiny.pk: 2}
    order = [task["job_id"] for task in tasks]
    assert order == sorted(order, key=order.index), "tasks of one job stand beside each other"


def test_when_there_are_more_jobs_than_tasks_are_wanted_jobs_take_turns(lab: Lab) -> None:
    jobs = [lab.world.started_job(4) for _ in range(5)]
    client = lab.machine()
    served = [by_job(reserve(client, 2)) for _ in range(5)]
    assert all(set(turn.values()) == {1} for turn in served)
    total: Counter[int] = sum((Counter(turn) for turn in served), Counter())
    assert dict(total) == {job.pk: 2 for job in jobs}


def test_portions_go_to_few_jobs_at_a_time_and_to_all_in_turn(lab: Lab, settings: Settings) -> None:
    settings.TURN_PORTION = 4
    jobs = [lab.world.started_job(images) for images in (9, 9, 2, 9)]
    client = lab.machine()
    first, second, tiny, fourth = (job.pk for job in jobs)
    assert by_job(reserve(client, 4)) == {first: 4}
    assert by_job(reserve(client, 4)) == {second: 4}
    assert by_job(reserve(client, 4)) == {tiny: 2, fourth: 2}, "what one lacks the next one gives"
    assert by_job(reserve(client, 9)) == {first: 3, second: 3, fourth: 3}
    assert by_job(reserve(client, 99)) == {first: 2, second: 2, fourth: 4}


def test_the_job_that_waited_longest_comes_first_its_wait_weighted_by_its_priority(lab: Lab) -> None:
    patient, urgent, served = (lab.world.started_job(4) for _ in range(3))
    for job, seconds, priority in ((patient, 100, 10), (urgent, 30, 100), (served, 50, 10)):
        execute(
            """UPDATE jobs_job SET priority = %s,
            last_served_at = clock_timestamp() - make_interval(secs => %s) WHERE id = %s""",
            [priority, seconds, job.pk],
        )
    client = lab.machine()
    turns = [client.post(NEXT, {}).json()["job"]["id"] for _ in range(2)]
    assert turns == [urgent.pk, patient.pk]


def test_a_job_that_had_no_turn_yet_comes_first(lab: Lab) -> None:
    old, new = lab.world.started_job(4), lab.world.started_job(4)
    execute("UPDATE jobs_job SET last_served_at = now() - interval '1 day' WHERE id = %s", [old.pk])
    assert list(by_job(reserve(lab.machine(), 1))) == [new.pk]


def test_a_worker_gets_tasks_of_the_pipelines_that_it_names(lab: Lab) -> None:
    moths, birds = lab.world.started_job(2), lab.world.started_job(2, pipeline=other_pipeline(lab, "birds"))
    client = lab.client("worker")
    assert by_job(reserve(client, 9, pipelines=["birds"])) == {birds.pk: 2}
    assert reserve(client, 9, pipelines=["unknown"]) == []
    assert reserve(client, 9, pipelines=[]) == []
    assert by_job(reserve(client, 9, pipelines=None)) == {moths.pk: 2}


def test_a_machine_that_names_no_pipeline_gets_those_that_its_service_registered(lab: Lab) -> None:
    moths = lab.world.started_job(2)
    lab.world.started_job(2, pipeline=other_pipeline(lab, "birds"))
    assert by_job(reserve(lab.machine(), 9)) == {moths.pk: 2}


def test_a_key_for_some_pipelines_gets_tasks_of_no_others_whatever_it_names(lab: Lab) -> None:
    lab.world.started_job(2)
    birds = other_pipeline(lab, "birds")
    client = lab.machine(lab.key(pipelines=[birds]))
    assert reserve(client, 9) == reserve(client, 9, pipelines=[lab.world.pipeline.slug]) == []
    assert client.post(NEXT, {"pipelines": [lab.world.pipeline.slug]}).json()["job"] is None


def test_a_key_of_another_project_finds_nothing_here(lab: Lab) -> None:
    lab.world.started_job(2)
    theirs, _ = other_project()
    client = lab.machine(lab.key(theirs))
    assert reserve(client, 9) == reserve(client, 9, pipelines=[lab.world.pipeline.slug]) == []


def test_jobs_of_projects_that_are_switched_off_are_not_served(lab: Lab) -> None:
    lab.world.started_job(2)
    Project.objects.update(active=False)
    assert lab.machine().post(RESERVE, {"batch_size": 1}).status_code == 403


@pytest.mark.parametrize(
    ("who", "status"),
    [("anonymous", 401), ("outsider", 403), ("member", 403), ("manager", 403), ("worker", 200)],
)
@pytest.mark.parametrize("address", [RESERVE, NEXT])
def test_only_workers_may_ask(lab: Lab, address: str, who: str, status: int) -> None:
    assert lab.post(address, {"batch_size": 1}, who).status_code == status


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"batch_size": 0},
        {"batch_size": "many"},
        {"batch_size": 1, "wait": -1},
        {"batch_size": 1, "wait": "long"},
        {"batch_size": 1, "pipelines": "moths"},
        {"batch_size": 1, "pipelines": [{}]},
        [],
    ],
)
def test_a_malformed_body_is_refused_with_the_name_of_what_is_wrong(lab: Lab, body: Any) -> None:
    answer = lab.machine().post(RESERVE, body)
    assert answer.status_code == 400
    assert answer.json()


def test_one_call_hands_out_no_more_than_the_largest_batch(lab: Lab, settings: Settings) -> None:
    settings.RESERVE_MAX_BATCH = 3
    lab.world.started_job(8)
    assert len(reserve(lab.machine(), 1_000_000)) == 3


def test_without_tasks_a_worker_hears_when_to_come_back(lab: Lab) -> None:
    answer = lab.machine().post(RESERVE, {"batch_size": 1}).json()
    assert answer["tasks"] == []
    assert 3 < answer["retry_after"] < 7


def test_the_number_of_statements_does_not_grow_with_tasks_or_jobs(
    lab: Lab, django_assert_max_num_queries: Callable[[int], Any]
) -> None:
    client = lab.machine()
    for _ in range(3):
        lab.world.started_job(6)
    reserve(client, 3)
    with django_assert_max_num_queries(13):
        assert len(reserve(client, 15)) == 15


def test_the_ledger_names_the_worker_behind_a_key(lab: Lab) -> None:
    job = lab.world.started_job(1)
    info = {
        "name": "Moth worker",
        "instance": "gpu-7",
        "hostname": "gpu-7.lab",
        "version": "1.2",
        "software": "w",
    }
    reserve(lab.machine(), 1, client_info=info)
    worker = WorkerInstance.objects.get()
    assert (worker.name, worker.hostname, worker.version) == ("Lab GPUs / gpu-7", "gpu-7.lab", "1.2")
    row = JobTask.objects.get(job=job)
    assert (row.worker, row.instance_id) == (worker.name, worker.pk)
    assert worker.service is not None
    assert worker.holder == f"service:{worker.service.pk}"


def test_a_worker_holds_no_more_than_its_quota_and_hears_why(lab: Lab, settings: Settings) -> None:
    settings.WORKER_MAX_LEASES = 3
    job, client = lab.world.started_job(9), lab.machine()
    tasks = reserve(client, 9)
    assert len(tasks) == 3
    answer = client.post(RESERVE, {"batch_size": 9, "wait": 20}).json()
    assert (answer["tasks"], "as many" in answer["reason"]) == ([], True)
    assert answer["retry_after"] > 0
    client.post(f"/api/v2/jobs/{job.pk}/result/", {"results": [lab.success(tasks[0])]})
    client.post("/api/v2/tasks/release/", {"leases": [tasks[1]["reply_subject"]]})
    assert len(reserve(client, 9)) == 2


def test_all_workers_of_a_service_together_hold_no_more_than_its_quota(lab: Lab, settings: Settings) -> None:
    settings.HOLDER_MAX_LEASES = 4
    lab.world.started_job(9)
    key = lab.key()
    one, two = lab.machine(key), lab.machine(key)
    assert len(reserve(one, 3, client_info={"instance": "one"})) == 3
    assert len(reserve(two, 3, client_info={"instance": "two"})) == 1
    assert len(reserve(lab.machine(), 9)) == 4, "another service has a quota of its own"


def test_next_names_the_job_a_batch_size_and_the_lease(lab: Lab, settings: Settings) -> None:
    job, client = lab.world.started_job(2), lab.machine()
    assert client.post(NEXT, {"pipelines": [lab.world.pipeline.slug]}).json() == {
        "job": {"id": job.pk, "name": job.name, "pipeline_slug": lab.world.pipeline.slug},
        "batch_size": settings.SUGGESTED_BATCH_SIZE,
        "lease_seconds": settings.NATS_TASK_TTR,
    }
    reserve(client, 2)
    assert client.post(NEXT, {}).json()["job"] is None, "all of it is in somebody's hands"


def test_claims_go_over_all_jobs_before_one_has_its_second_turn(lab: Lab) -> None:
    jobs = [lab.world.started_job(1) for _ in range(4)]
    client = lab.machine()
    claimed = [client.post(NEXT, {}).json()["job"]["id"] for _ in range(8)]
    assert set(claimed[:4]) == {job.pk for job in jobs}
    assert claimed[4:] == claimed[:4]


def test_without_a_queue_the_answer_is_503_within_a_second_and_a_half(lab: Lab, lonely_nats: Nats) -> None:
    lab.world.started_job(1)
    client = lab.machine()
    freeze(lonely_nats)
    answers: list[Any] = []
    took = stopwatch(lambda: answers.append(client.post(RESERVE, {"batch_size": 1, "wait": 20})))
    assert (answers[0].status_code, answers[0].json()["error"]) == (503, "Task queue temporarily unavailable")
    assert int(answers[0]["Retry-After"]) >= 1
    assert took < 1.5
    took = stopwatch(lambda: answers.append(client.post(RESERVE, {"batch_size": 1})))
    assert answers[1].status_code == 503
    assert took < 0.05
    lonely_nats.resume()


def test_a_job_that_ended_is_not_served(lab: Lab) -> None:
    job = lab.world.started_job(2)
    Job.objects.filter(pk=job.pk).update(status="REVOKED")
    assert reserve(lab.machine(), 2) == []

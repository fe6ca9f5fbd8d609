"""GET /ml/workers/: who works for a project, what it holds and what it did."""

from __future__ import annotations

from typing import Any

import pytest

from ami.jobs.lifecycle import quotas
from ami.jobs.lifecycle.advance import refresh_job
from ami.jobs.models import JobContribution, JobTask
from ami.jobs.tests.api.lab import Lab, at, other_project
from ami.ml import workers
from ami.ml.models import WorkerInstance
from ami.taskqueue import PendingStateUnavailable
from ami.taskqueue.open_leases import OpenLeases

pytestmark = pytest.mark.integration

WORKERS = "/api/v2/ml/workers/"


def listed(lab: Lab, who: str = "member") -> list[dict[str, Any]]:
    """The workers that somebody sees."""
    answer = lab.get(WORKERS, who, project_id=lab.world.project.pk)
    assert answer.status_code == 200, answer.content
    workers: list[dict[str, Any]] = answer.json()["results"]
    return workers


def test_a_worker_shows_what_it_holds_and_what_it_did(lab: Lab) -> None:
    job, key = lab.world.started_job(5), lab.key()
    clients = {name: lab.machine(key) for name in ("gpu-1", "gpu-2")}
    tasks = {
        name: client.post(
            "/api/v2/tasks/reserve/", {"batch_size": 2, "client_info": {"instance": name, "version": "1.0"}}
        ).json()["tasks"]
        for name, client in clients.items()
    }
    info = {"client_info": {"instance": "gpu-1", "version": "1.0"}}
    clients["gpu-1"].post(at(job, "result"), {"results": [lab.success(tasks["gpu-1"][0])], **info})
    failure = {"reply_subject": tasks["gpu-1"][1]["reply_subject"], "error": "x", "retryable": False}
    clients["gpu-1"].post("/api/v2/tasks/fail/", {"failures": [failure], **info})
    lab.world.background.run()
    first, second = listed(lab)
    assert (first["name"], first["service_name"], first["version"]) == ("Lab GPUs / gpu-1", "Lab GPUs", "1.0")
    assert (first["holds"], first["processed"], first["failed"]) == (0, 1, 1)
    assert (second["holds"], second["processed"], second["failed"]) == (2, 0, 0)
    assert first["processing_seconds"] == 0.25
    assert first["online"] is second["online"] is True


def test_contributions_are_as_the_ledger_has_them_after_a_retry_too(lab: Lab) -> None:
    job = lab.world.started_job(2)
    client = lab.machine()
    good, bad = lab_tasks(client, 2)
    client.post(at(job, "result"), {"results": [lab.success(good)]})
    failure = {"reply_subject": bad["reply_subject"], "error": "x", "retryable": False}
    client.post("/api/v2/tasks/fail/", {"failures": [failure]})
    lab.world.background.run()
    assert [(row.processed, row.failed) for row in JobContribution.objects.filter(job=job)] == [(1, 1)]
    assert lab.post(at(job, "retry")).status_code == 200
    refresh_job(job.pk)
    assert [(row.processed, row.failed) for row in JobContribution.objects.filter(job=job)] == [(1, 0)]
    counted = JobTask.objects.filter(job=job, status=2).count()
    assert counted == sum(row.processed for row in JobContribution.objects.filter(job=job))


def lab_tasks(client: Any, count: int) -> list[dict[str, Any]]:
    """Tasks for a worker."""
    tasks: list[dict[str, Any]] = client.post("/api/v2/tasks/reserve/", {"batch_size": count}).json()["tasks"]
    return tasks


@pytest.mark.parametrize(
    ("who", "status"),
    [("anonymous", 401), ("outsider", 403), ("member", 200), ("worker", 200), ("superuser", 200)],
)
def test_workers_are_shown_to_members(lab: Lab, who: str, status: int) -> None:
    assert lab.get(WORKERS, who, project_id=lab.world.project.pk).status_code == status


def test_workers_of_other_projects_are_not_shown(lab: Lab) -> None:
    theirs, _ = other_project()
    lab.machine(lab.key(theirs)).post("/api/v2/tasks/reserve/", {"batch_size": 1})
    assert WorkerInstance.objects.count() == 1
    assert listed(lab) == []
    hidden = WorkerInstance.objects.get()
    assert lab.get(f"{WORKERS}{hidden.pk}/", "member", project_id=lab.world.project.pk).status_code == 404


def test_a_worker_key_sees_its_own_service_and_no_names_of_people(lab: Lab) -> None:
    key = lab.key()
    mine = lab.machine(key)
    for client in (mine, lab.machine(), lab.client("worker")):
        client.post("/api/v2/tasks/reserve/", {"batch_size": 1})
    project = {"project_id": lab.world.project.pk}
    assert len(listed(lab)) == 3
    assert [row["service"] for row in mine.get(WORKERS, project).json()["results"]] == [key.key.service_id]


def test_a_project_has_to_be_named(lab: Lab) -> None:
    assert lab.get(WORKERS).status_code == 400


def test_without_redis_what_a_worker_holds_is_unknown_and_the_rest_is_shown(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab.machine().post("/api/v2/tasks/reserve/", {"batch_size": 1})

    def fail(*_: object) -> dict[str, int]:
        raise PendingStateUnavailable

    monkeypatch.setattr(OpenLeases, "counts", fail)
    (worker,) = listed(lab)
    assert worker["holds"] is None
    assert worker["online"] is True


def test_without_redis_nobody_is_limited(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> dict[str, int]:
        raise PendingStateUnavailable

    monkeypatch.setattr(quotas, "_away_until", 0.0)
    for name in ("counts", "add", "remove"):
        monkeypatch.setattr(OpenLeases, name, fail)
    lab.world.started_job(3)
    assert len(lab_tasks(lab.machine(), 3)) == 3


def test_names_of_strangers_do_not_fill_the_table(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "MOST_PER_HOLDER", 3)
    key = lab.key()
    for number in range(6):
        body = {"batch_size": 1, "client_info": {"instance": f"w{number}"}}
        assert lab.machine(key).post("/api/v2/tasks/reserve/", body).status_code == 200
    names = set(WorkerInstance.objects.values_list("name", flat=True))
    assert names == {"Lab GPUs / w0", "Lab GPUs / w1", "Lab GPUs / w2", "others"}

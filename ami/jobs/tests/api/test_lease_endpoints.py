"""POST /tasks/extend/, /release/ and /fail/: what a worker says about leases that it holds."""

from __future__ import annotations

from typing import Any

import pytest
from pytest_django.fixtures import Settings

from ami.jobs.lifecycle.cancel import cancel_job
from ami.jobs.lifecycle.leases import signer
from ami.jobs.models import Attempt, JobTask
from ami.jobs.tests.api.lab import Lab, at, other_project
from ami.ml import keys
from ami.ml.models import WorkerKey
from ami.taskqueue import Nak, TaskQueueManager

pytestmark = pytest.mark.integration

EXTEND, RELEASE, FAIL = "/api/v2/tasks/extend/", "/api/v2/tasks/release/", "/api/v2/tasks/fail/"


def take(client: Any, count: int) -> list[dict[str, Any]]:
    """Tasks for a worker."""
    tasks: list[dict[str, Any]] = client.post("/api/v2/tasks/reserve/", {"batch_size": count}).json()["tasks"]
    assert len(tasks) == count
    return tasks


def call(client: Any, address: str, *tokens: Any) -> list[dict[str, Any]]:
    """Extend or release leases."""
    answer = client.post(address, {"leases": list(tokens)})
    assert answer.status_code == 200, answer.content
    leases: list[dict[str, Any]] = answer.json()["leases"]
    return leases


def test_extending_holds_the_lease_and_tells_of_the_end_of_a_job(lab: Lab) -> None:
    stays, ends = lab.world.started_job(1), lab.world.started_job(1)
    client = lab.machine()
    tasks = {task["job_id"]: task["reply_subject"] for task in take(client, 2)}
    cancel_job(ends.pk)
    held, cancelled = call(client, EXTEND, tasks[stays.pk], tasks[ends.pk])
    assert held == {"reply_subject": tasks[stays.pk], "status": "held", "cancelled": False}
    assert cancelled == {"reply_subject": tasks[ends.pk], "status": "cancelled", "cancelled": True}


def test_work_of_a_job_that_ended_otherwise_is_to_be_stopped_too(lab: Lab) -> None:
    job = lab.world.started_job(2)
    client = lab.machine()
    first, second = (task["reply_subject"] for task in take(client, 2))
    JobTask.objects.filter(job=job).update(status=2)
    type(job).objects.filter(pk=job.pk).update(status="SUCCESS")
    assert [item["cancelled"] for item in call(client, EXTEND, first, second)] == [True, True]


def test_a_released_task_is_handed_out_at_once_and_the_attempt_does_not_count(lab: Lab) -> None:
    job, client = lab.world.started_job(1), lab.machine()
    (task,) = take(client, 1)
    assert call(client, RELEASE, task["reply_subject"])[0]["status"] == "released"
    assert lab.world.obtain(job, 1)[0].image_id == int(task["image_id"])
    row = JobTask.objects.get(job=job)
    assert row.attempt - row.released == 1


def test_another_holder_can_neither_extend_nor_release_nor_fail_a_lease(lab: Lab) -> None:
    job = lab.world.started_job(1)
    (task,) = take(lab.machine(), 1)
    before = lab.world.ledger_bytes(job)
    for thief in (lab.machine(), lab.client("worker"), lab.client("superuser")):
        for address in (EXTEND, RELEASE):
            (answer,) = call(thief, address, task["reply_subject"])
            assert (answer["status"], "somebody else" in answer["reason"]) == ("rejected", True)
        failure = {"reply_subject": task["reply_subject"], "error": "x", "retryable": False}
        assert thief.post(FAIL, {"failures": [failure]}).json()["tasks"][0]["status"] == "rejected"
    assert lab.world.ledger_bytes(job) == before


@pytest.mark.parametrize("token", ["", "x", "$JS.ACK.job_1.c.1.1.1.1.1", None, 7, ["a"], {}, "job.1.tasks"])
def test_what_is_no_lease_is_refused_alone(lab: Lab, token: Any) -> None:
    lab.world.started_job(1)
    client = lab.machine()
    (task,) = take(client, 1)
    refused, held = call(client, EXTEND, token, task["reply_subject"])
    assert (refused["status"], held["status"]) == ("rejected", "held")
    assert refused["reason"]
    answer = client.post(FAIL, {"failures": [{"reply_subject": token, "error": "x"}, token]}).json()["tasks"]
    assert [item["status"] for item in answer] == ["rejected", "rejected"]


def test_a_failure_that_may_pass_is_tried_again_and_one_that_cannot_is_final(
    lab: Lab, settings: Settings
) -> None:
    settings.RETRY_BACKOFF_SECONDS = 60
    job, client = lab.world.started_job(2), lab.machine()
    soft, hard = take(client, 2)
    failures = [
        {"reply_subject": soft["reply_subject"], "error": "GPU busy"},
        {"reply_subject": hard["reply_subject"], "error": "no such layer", "retryable": False},
    ]
    answers = client.post(FAIL, {"failures": failures}).json()["tasks"]
    assert [(item["status"], item["reason"]) for item in answers] == [
        ("retry", "GPU busy"),
        ("failed", "no such layer"),
    ]
    rows = {str(row.image_id): row for row in JobTask.objects.filter(job=job)}
    assert rows[soft["image_id"]].not_before is not None
    assert (rows[hard["image_id"]].error_code, rows[hard["image_id"]].error_text) == (
        "worker_error",
        "no such layer",
    )
    assert Attempt.objects.count() == 2


def test_failures_of_several_jobs_are_answered_in_their_order(lab: Lab) -> None:
    lab.world.started_job(2)
    lab.world.started_job(2)
    client = lab.machine()
    tasks = take(client, 4)
    order = [tasks[0], tasks[2], tasks[1], tasks[3]]
    failures = [
        {"reply_subject": task["reply_subject"], "error": task["id"], "retryable": False} for task in order
    ]
    answers = client.post(FAIL, {"failures": failures}).json()["tasks"]
    assert [item["reason"] for item in answers] == [task["id"] for task in order]


def settle(task: dict[str, Any]) -> None:
    """Have the queue hand out the message again, as if its time were over there too."""
    delivery = signer().verify(task["reply_subject"]).delivery
    assert delivery is not None
    TaskQueueManager().settle([Nak(delivery)])


def test_a_late_failure_harms_nobody_who_has_the_image_now(lab: Lab) -> None:
    job = lab.world.started_job(1)
    late = lab.machine()
    (old,) = take(late, 1)
    lab.world.let_leases_run_out(job)
    settle(old)
    fresh = lab.world.obtain(job, 1)[0]
    failure = {"reply_subject": old["reply_subject"], "error": "too late", "retryable": False}
    assert late.post(FAIL, {"failures": [failure]}).json()["tasks"][0]["status"] == "duplicate"
    assert call(late, EXTEND, old["reply_subject"])[0]["status"] == "lost"
    assert call(late, RELEASE, old["reply_subject"])[0]["status"] == "lost"
    row = JobTask.objects.get(job=job)
    assert (row.status, row.attempt, row.worker) == (0, fresh.attempt, "alice's gpu")


def test_the_lease_of_a_job_that_was_deleted_is_refused(lab: Lab) -> None:
    job, client = lab.world.started_job(1), lab.machine()
    (task,) = take(client, 1)
    job.delete()
    assert call(client, EXTEND, task["reply_subject"])[0]["status"] == "rejected"


def test_rotating_a_key_strands_no_lease(lab: Lab) -> None:
    job, old = lab.world.started_job(3), lab.key()
    tasks = take(lab.machine(old), 3)
    new = lab.machine(keys.rotate(old.key))
    assert call(new, EXTEND, tasks[0]["reply_subject"])[0]["status"] == "held"
    assert call(new, RELEASE, tasks[1]["reply_subject"])[0]["status"] == "released"
    posted = new.post(at(job, "result"), {"results": [lab.success(tasks[2])]}).json()
    assert posted["results_queued"] == 1


def test_a_result_under_another_holder_than_the_lease_is_rejected(lab: Lab) -> None:
    job = lab.world.started_job(1)
    (task,) = take(lab.machine(), 1)
    for thief in (lab.machine(), lab.client("worker")):
        (answer,) = thief.post(at(job, "result"), {"results": [lab.success(task)]}).json()["tasks"]
        assert answer["status"] == "rejected"
    assert lab.world.tally(job) == {"pending": 1}


def test_a_key_that_is_revoked_in_mid_job_is_refused_and_its_work_goes_to_others(lab: Lab) -> None:
    job, made = lab.world.started_job(1), lab.key()
    client = lab.machine(made)
    (task,) = take(client, 1)
    keys.revoke(WorkerKey.objects.get())
    for address, body in (
        (at(job, "result"), {"results": [lab.success(task)]}),
        (EXTEND, {"leases": [task["reply_subject"]]}),
        ("/api/v2/tasks/reserve/", {"batch_size": 1}),
        (at(job, "tasks"), {"batch_size": 1}),
    ):
        answer = client.post(address, body)
        assert (answer.status_code, answer.json()) == (401, {"detail": "Invalid token."})
    lab.world.let_leases_run_out(job)
    settle(task)
    assert lab.world.obtain(job, 1)


def test_a_service_that_left_the_project_can_do_nothing_more_there(lab: Lab) -> None:
    job, made = lab.world.started_job(1), lab.key()
    home, _ = other_project()
    made.key.service.projects.add(home)
    made.key.projects.add(home)
    client = lab.machine(made)
    (task,) = take(client, 1)
    made.key.service.projects.remove(lab.world.project)
    keys.forget_all()
    assert call(client, EXTEND, task["reply_subject"])[0]["status"] == "rejected"
    assert client.post(at(job, "result"), {"results": [lab.success(task)]}).status_code == 404

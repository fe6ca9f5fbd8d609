"""run, retry and cancel over HTTP (contract 1.9)."""

from __future__ import annotations

from typing import Any

import pytest
from pytest_django import DjangoCaptureOnCommitCallbacks

from ami.jobs.lifecycle.dispatch import dispatch_job
from ami.jobs.models import Job
from ami.jobs.tests.api.lab import Lab, at
from ami.jobs.tests.api.test_job_json import KEYS

pytestmark = pytest.mark.integration


@pytest.mark.parametrize("ending", ["/", "", ".json"])
def test_run_submits_a_job_and_shows_it_whole(
    lab: Lab, django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks, ending: str
) -> None:
    job = lab.world.job()
    with django_capture_on_commit_callbacks(execute=True):
        answer = lab.post(at(job, "run").rstrip("/") + ending, who="data_manager")
    assert (answer.status_code, list(answer.json())) == (200, KEYS)
    assert answer.json()["status"] == "PENDING"
    assert lab.world.background.asked == [("dispatch", job.pk)]
    assert answer.json()["logs"]["stdout"][0].endswith("INFO Job submitted.")


@pytest.mark.parametrize("query", ["?no_async", "?no_async=1"])
def test_no_async_dispatches_before_it_answers(lab: Lab, query: str) -> None:
    job = lab.world.job(images=3)
    shown = lab.post(at(job, "run") + query).json()
    assert shown["status"] == "STARTED"
    assert lab.world.standing(job) == 3


@pytest.mark.parametrize("state", ["PENDING", "STARTED", "RETRY", "CANCELING"])
def test_running_a_job_that_is_on_its_way_changes_nothing(lab: Lab, state: str) -> None:
    job = lab.world.job()
    Job.objects.filter(pk=job.pk).update(status=state)
    answer = lab.post(at(job, "run"))
    assert (answer.status_code, answer.json()["status"]) == (200, state)
    assert lab.world.background.asked == []


def test_running_an_ended_job_repeats_it(lab: Lab) -> None:
    job = lab.world.started_job(images=2)
    lab.post(at(job, "cancel"))
    answer = lab.post(at(job, "run") + "?no_async")
    assert (answer.status_code, answer.json()["status"]) == (200, "STARTED")
    job.refresh_from_db()
    assert job.run == 2


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"pipeline": None}, "has no pipeline"),
        ({"source_image_collection": None}, "names no captures"),
    ],
)
def test_a_job_that_would_wait_for_ever_is_refused(lab: Lab, fields: dict[str, Any], sentence: str) -> None:
    job = lab.world.job(**fields)
    answer = lab.post(at(job, "run"))
    assert answer.status_code == 400
    assert sentence in answer.json()["detail"]
    job.refresh_from_db()
    assert job.status == "CREATED"


def test_an_ended_job_whose_pipeline_is_gone_cannot_be_repeated(lab: Lab) -> None:
    job = lab.world.job(pipeline=None)
    Job.objects.filter(pk=job.pk).update(status="REVOKED")
    assert lab.post(at(job, "retry")).status_code == 400
    job.refresh_from_db()
    assert (job.status, job.run) == ("REVOKED", 1)


def test_a_job_for_push_services_runs_and_says_what_it_waits_for(lab: Lab) -> None:
    lab.world.project.flags = {"async_pipeline_workers": False}
    lab.world.project.save()
    job = lab.world.job()
    answer = lab.post(at(job, "run"))
    assert (answer.status_code, answer.json()["status"]) == (200, "PENDING")
    dispatch_job(job.pk)
    shown = lab.get(at(job)).json()
    assert (shown["status"], shown["dispatch_mode"]) == ("STARTED", "sync_api")
    assert shown["waiting_for"].startswith("waiting for a push service: none offers the pipeline")


@pytest.mark.parametrize("state", ["CREATED", "PENDING", "STARTED", "RETRY", "CANCELING"])
def test_retry_leaves_a_job_alone_that_has_not_ended(lab: Lab, state: str) -> None:
    job = lab.world.job()
    Job.objects.filter(pk=job.pk).update(status=state)
    answer = lab.post(at(job, "retry"))
    assert (answer.status_code, answer.json()["status"]) == (200, state)
    job.refresh_from_db()
    assert job.run == 1


def test_retry_repeats_what_was_cancelled_and_keeps_what_was_done(lab: Lab) -> None:
    job = lab.world.started_job(images=3)
    lab.world.post(job, [lab.world.success(task) for task in lab.world.reserve(job, 1)])
    lab.world.background.run()
    lab.post(at(job, "cancel"))
    answer = lab.post(at(job, "retry") + "?no_async", who="data_manager")
    assert (answer.status_code, answer.json()["status"]) == (200, "STARTED")
    assert lab.world.tally(job) == {"pending": 2, "processed": 1}


@pytest.mark.parametrize("action", ["retry", "run"])
def test_a_repeated_job_shows_what_is_left_to_do_at_once(lab: Lab, action: str) -> None:
    job = lab.world.started_job(images=4)
    tasks = lab.world.reserve(job)
    failures = [lab.world.error(task, retryable=False) for task in tasks[1:]]
    lab.world.post(job, [lab.world.success(tasks[0]), *failures])
    lab.world.background.run()
    assert lab.get(at(job)).json()["progress"]["summary"] == {"status": "FAILURE", "progress": 1.0}
    answer = lab.post(at(job, action)).json()
    assert answer["status"] == "PENDING"
    stages = {stage["key"]: (stage["status"], stage["progress"]) for stage in answer["progress"]["stages"]}
    assert stages == {"collect": ("SUCCESS", 1.0), "process": ("STARTED", 0.25), "results": ("STARTED", 0.25)}


def test_cancel_ends_a_job_and_empties_its_queue(lab: Lab) -> None:
    job = lab.world.started_job(images=3)
    answer = lab.post(at(job, "cancel"), who="data_manager")
    assert (answer.status_code, list(answer.json())) == (200, KEYS)
    assert answer.json()["status"] == "REVOKED"
    assert answer.json()["finished_at"] is not None
    assert lab.world.tally(job) == {"cancelled": 3}
    assert lab.world.standing(job) is None


@pytest.mark.parametrize("state", ["SUCCESS", "FAILURE", "REVOKED"])
def test_cancelling_an_ended_job_changes_nothing(lab: Lab, state: str) -> None:
    job = lab.world.job()
    Job.objects.filter(pk=job.pk).update(status=state)
    answer = lab.post(at(job, "cancel"))
    assert (answer.status_code, answer.json()["status"]) == (200, state)


def test_the_log_says_who_cancelled_without_naming_a_person(lab: Lab) -> None:
    job = lab.world.started_job()
    logs = lab.post(at(job, "cancel"), who="data_manager").json()["logs"]["stdout"]
    user = lab.user("data_manager")
    assert any(f"cancelled by user {user.pk}" in line for line in logs)
    assert not any(user.email in line or user.name in line for line in logs)


@pytest.mark.parametrize("action", ["run", "retry", "cancel", "tasks", "result"])
def test_actions_are_posts(lab: Lab, action: str) -> None:
    answer = lab.get(at(lab.world.job(), action))
    assert (answer.status_code, answer.json()) == (405, {"detail": 'Method "GET" not allowed.'})

"""POST /jobs/{id}/tasks/ (contract 1.9.3)."""

from __future__ import annotations

from typing import Any

import pytest
from django.conf import settings as django_settings
from knox.models import AuthToken
from pytest_django.fixtures import Settings

from ami.embedded.nats import Nats
from ami.jobs.models import Job, JobTask
from ami.jobs.states import SERVING, JobState
from ami.jobs.tests.api.lab import Lab, at
from ami.ml.models import WorkerInstance
from ami.taskqueue.tests.waiting import stopwatch
from ami.users.tests.factories import client_of

pytestmark = pytest.mark.integration

REFUSED_SIZES: list[tuple[Any, str]] = [
    (None, "This field may not be null."),
    ("", "A valid integer is required."),
    ("many", "A valid integer is required."),
    (0, "Ensure this value is greater than or equal to 1."),
    (-3, "Ensure this value is greater than or equal to 1."),
    (1.5, "A valid integer is required."),
    (True, "A valid integer is required."),
    ([1], "A valid integer is required."),
    ({}, "A valid integer is required."),
]


def test_a_worker_that_says_nothing_is_known_by_its_token(lab: Lab) -> None:
    job = lab.world.started_job(images=2)
    first, second = client_of(lab.user("worker")), client_of(lab.user("worker"))
    for client in (first, second):
        assert client.post(at(job, "tasks"), {"batch_size": 1}).status_code == 200
    digests = AuthToken.objects.filter(user=lab.user("worker")).values_list("digest", flat=True)
    wanted = {f"Worker (token {digest[:8]})" for digest in digests}
    assert set(JobTask.objects.filter(job=job).values_list("worker", flat=True)) == wanted
    assert {instance.name for instance in WorkerInstance.objects.all()} == wanted


def test_a_task_has_the_fields_of_the_contract_as_strings(lab: Lab) -> None:
    job = lab.world.started_job(images=1)
    answer = lab.post(at(job, "tasks"), {"batch_size": 8, "client_info": {"hostname": "gpu-01"}})
    assert answer.status_code == 200
    (task,) = answer.json()["tasks"]
    image = str(JobTask.objects.get(job=job).image_id)
    assert list(task)[:4] == ["id", "image_id", "image_url", "reply_subject"]
    assert (task.pop("config"), task.pop("lease_seconds"), task.pop("attempt")) == (
        {},
        django_settings.NATS_TASK_TTR,
        1,
    )
    assert (task["id"], task["image_id"]) == (image, image)
    assert task["image_url"].startswith("https://images.example/")
    assert isinstance(task["reply_subject"], str)
    assert task["reply_subject"]


@pytest.mark.parametrize("ending", ["", "/", ".json"])
def test_the_address_may_end_as_it_likes(lab: Lab, ending: str) -> None:
    job = lab.world.started_job(images=1)
    (task,) = lab.post(at(job, "tasks").rstrip("/") + ending, {"batch_size": 1}).json()["tasks"]
    answer = lab.post(at(job, "result").rstrip("/") + ending, {"results": [lab.success(task)]})
    assert answer.json()["results_queued"] == 1


def test_a_local_capture_has_an_address_that_needs_no_token(lab: Lab) -> None:
    captures = lab.world.captures(1, public_base_url="")
    job = lab.world.started_job(source_image_collection=lab.world.capture_set(captures))
    (task,) = lab.tasks(job)
    assert task["image_url"].startswith("http://testserver/api/v2/captures/")
    assert lab.get(task["image_url"], "anonymous").status_code == 404  # let in; this capture has no file


def test_no_more_tasks_are_handed_out_than_asked_for_and_each_once(lab: Lab) -> None:
    job = lab.world.started_job(images=5)
    first, second, third = lab.tasks(job, 2), lab.tasks(job, 2), lab.tasks(job, 2)
    assert [len(first), len(second), len(third)] == [2, 2, 1]
    assert len({task["id"] for task in first + second + third}) == 5
    assert lab.tasks(job) == []


@pytest.mark.parametrize("size", ["2", " 2 ", 2.0, "2.0"])
def test_sizes_that_are_numbers_in_another_dress_are_taken(lab: Lab, size: object) -> None:
    job = lab.world.started_job(images=3)
    answer = lab.post(at(job, "tasks"), {"batch_size": size})
    assert (answer.status_code, len(answer.json()["tasks"])) == (200, 2)


def test_a_size_that_is_none_is_a_400(lab: Lab) -> None:
    job = lab.world.job(images=0)
    for size, sentence in REFUSED_SIZES:
        answer = lab.post(at(job, "tasks"), {"batch_size": size})
        assert (answer.status_code, answer.json()) == (400, {"batch_size": [sentence]}), size


def test_the_size_is_required(lab: Lab) -> None:
    job = lab.world.job(images=0)
    required = {"batch_size": ["This field is required."]}
    assert lab.post(at(job, "tasks"), {}).json() == required
    assert lab.post(at(job, "tasks")).json() == required


def test_an_enormous_size_gives_what_one_call_may_give(lab: Lab, settings: Settings) -> None:
    settings.RESERVE_MAX_BATCH = 2
    job = lab.world.started_job(images=3)
    assert len(lab.tasks(job, 10**12)) == 2


def test_a_body_that_is_no_object_is_a_400(lab: Lab) -> None:
    job = lab.world.job(images=0)
    for body in ([1], "text", 7):
        answer = lab.post(at(job, "tasks"), body)
        assert answer.status_code == 400, body
        assert list(answer.json()) == ["non_field_errors"]


def test_broken_json_is_a_400_with_a_sentence(lab: Lab) -> None:
    answer = lab.client("superuser").post(
        at(lab.world.job(images=0), "tasks"), b'{"batch_size": ', content_type="application/json"
    )
    assert answer.status_code == 400
    assert "not valid JSON" in answer.json()["detail"]


@pytest.mark.parametrize("info", [None, {}, {"name": 5, "hostname": ["x"]}, "text", [1]])
def test_whatever_a_client_says_of_itself_is_accepted(lab: Lab, info: object) -> None:
    job = lab.world.started_job(images=1)
    answer = lab.post(at(job, "tasks"), {"batch_size": 1, "client_info": info})
    assert len(answer.json()["tasks"]) == 1


@pytest.mark.parametrize(
    ("info", "header", "name"),
    [
        ({"name": "Käfer (gpu-01)"}, "K?fer (gpu-01)", "Käfer (gpu-01)"),
        ({}, "moths (gpu-02)", "moths (gpu-02)"),
        ({"hostname": "gpu-03"}, "", "gpu-03"),
        ({"name": "two\nlines"}, "", "two lines"),
        ({"name": "a\x00b\x07" + "c" * 300}, "", "ab" + "c" * 253),
    ],
)
def test_the_ledger_knows_who_works_on_an_image(
    lab: Lab, info: dict[str, str], header: str, name: str
) -> None:
    job = lab.world.started_job(images=1)
    headers = {"X-Processing-Service-Name": header} if header else {}
    body = {"batch_size": 1, "client_info": info}
    assert lab.client("superuser").post(at(job, "tasks"), body, headers=headers).status_code == 200
    assert JobTask.objects.get(job=job).worker == name


def test_the_body_is_judged_before_the_job(lab: Lab) -> None:
    answer = lab.post("/api/v2/jobs/999999/tasks/", {"batch_size": 0})
    assert answer.status_code == 400
    assert lab.post("/api/v2/jobs/999999/tasks/", {"batch_size": 1}).json() == {"detail": "Not found."}


def test_only_pull_jobs_have_tasks(lab: Lab) -> None:
    job = lab.world.job(images=0)
    for mode in ("internal", "sync_api"):
        Job.objects.filter(pk=job.pk).update(status="STARTED", dispatch_mode=mode)
        answer = lab.post(at(job, "tasks"), {"batch_size": 1})
        assert (answer.status_code, answer.json()) == (400, ["Only async_api jobs have fetchable tasks"])


def test_a_job_that_does_not_serve_answers_with_no_tasks(lab: Lab) -> None:
    job = lab.world.started_job()
    for state in set(JobState.values) - SERVING:
        Job.objects.filter(pk=job.pk).update(status=state, pipeline=None)
        answer = lab.post(at(job, "tasks"), {"batch_size": 1})
        assert (answer.status_code, answer.json()) == (200, {"tasks": []}), state


def test_a_job_under_retry_serves(lab: Lab) -> None:
    job = lab.world.started_job(images=1)
    Job.objects.filter(pk=job.pk).update(status="RETRY")
    assert len(lab.tasks(job)) == 1


def test_a_serving_job_whose_pipeline_is_gone_is_a_400(lab: Lab) -> None:
    job = lab.world.job(images=0)
    Job.objects.filter(pk=job.pk).update(status="STARTED", pipeline=None)
    answer = lab.post(at(job, "tasks"), {"batch_size": 1})
    assert (answer.status_code, answer.json()) == (400, ["This job does not have a pipeline configured"])


def test_a_job_whose_stream_is_missing_answers_with_no_tasks(lab: Lab) -> None:
    job = lab.world.job()
    Job.objects.filter(pk=job.pk).update(status="STARTED", queue_epoch=1)
    assert lab.tasks(job) == []


def test_filters_of_the_list_do_not_hide_a_job_from_its_workers(lab: Lab) -> None:
    job = lab.world.started_job(images=1)
    answer = lab.post(at(job, "tasks") + "?status=SUCCESS&search=nothing", {"batch_size": 1})
    assert len(answer.json()["tasks"]) == 1


def test_without_the_queue_a_worker_is_told_soon_to_come_back(lab: Lab, lonely_nats: Nats) -> None:
    job = lab.world.started_job()
    lonely_nats.kill()
    answers: list[Any] = []
    took = stopwatch(lambda: answers.append(lab.post(at(job, "tasks"), {"batch_size": 1})))
    assert took < 2.5
    assert answers[0].status_code == 503
    assert answers[0].json()["error"] == "Task queue temporarily unavailable"
    assert answers[0].json()["code"] == "queue_unavailable"
    assert int(answers[0]["Retry-After"]) >= 1

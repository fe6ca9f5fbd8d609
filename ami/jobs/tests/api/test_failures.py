"""The dead letters of a job over HTTP: what is told to whom, and having them done again."""

from __future__ import annotations

from typing import Any

import pytest
from pytest_django import DjangoCaptureOnCommitCallbacks

from ami.base.database import execute
from ami.jobs.models import DeadLetter, Job, JobLog
from ami.jobs.tests.api.lab import ROLE_OF, Lab, at
from ami.jobs.tests.api.test_job_json import KEYS
from ami.jobs.tests.world import ALICE, BOB
from ami.main.models import SourceImage

pytestmark = pytest.mark.integration

OF_FAILURE = [
    "image_id",
    "capture",
    "code",
    "meaning",
    "reason",
    "run",
    "attempts_used",
    "workers",
    "attempts",
    "finished_at",
]


@pytest.fixture
def job(lab: Lab) -> Job:
    """An ended job of four images: one processed, two failed at once, one after two workers tried it."""
    job = lab.world.started_job(images=4)
    good, twice, *bad = lab.world.reserve(job)
    errors = [lab.world.error(task, f"broken {n}", retryable=False) for n, task in enumerate(bad)]
    lab.world.post(job, [lab.world.success(good), lab.world.error(twice, "not now"), *errors])
    lab.world.let_leases_run_out(job)
    (again,) = lab.world.obtain(job, 1, BOB)
    error = lab.world.error(again, "never", retryable=False, code="unreadable_image")
    lab.world.post(job, [error], BOB)
    lab.world.background.run()
    job.refresh_from_db()
    assert (job.status, lab.world.tally(job)) == ("FAILURE", {"processed": 1, "failed": 3})
    return job


def failures(lab: Lab, job: Job, who: str = "member", **query: Any) -> list[dict[str, Any]]:
    """The failures of a job as somebody sees them."""
    answer = lab.get(at(job, "failures"), who, **query)
    assert answer.status_code == 200, answer.content
    found: list[dict[str, Any]] = answer.json()["results"]
    return found


def test_a_failure_tells_its_image_its_reason_and_who_tried(lab: Lab, job: Job) -> None:
    shown = failures(lab, job)[0]
    assert list(shown) == OF_FAILURE
    assert (shown["code"], shown["meaning"]) == ("unreadable_image", "The image could not be read")
    assert (shown["reason"], shown["run"], shown["attempts_used"]) == ("never", 1, 2)
    assert shown["workers"] == [ALICE.name, BOB.name]
    assert [(one["attempt"], one["worker"], one["reason"]) for one in shown["attempts"]] == [
        (1, ALICE.name, "not now"),
        (2, BOB.name, "never"),
    ]
    assert list(shown["attempts"][0]) == ["run", "attempt", "worker", "code", "reason", "created_at"]
    capture = shown["capture"]
    assert capture["id"] == shown["image_id"]
    assert capture["url"].startswith("https://images.example/")
    assert capture["details"].endswith(f"/captures/{shown['image_id']}/")


def test_failures_come_newest_first_in_pages(lab: Lab, job: Job) -> None:
    found = failures(lab, job)
    assert len(found) == 3
    times = [one["finished_at"] for one in found]
    assert times == sorted(times, reverse=True)
    oldest = failures(lab, job, ordering="finished_at")
    assert [one["image_id"] for one in oldest] == [one["image_id"] for one in reversed(found)]
    assert failures(lab, job, ordering="image_id") == failures(lab, job, ordering="") == found
    page = lab.get(at(job, "failures"), "member", limit=2, offset=2).json()
    assert (page["count"], page["next"], page["user_permissions"]) == (3, None, [])
    assert page["results"] == found[2:]


def test_failures_are_narrowed_by_code(lab: Lab, job: Job) -> None:
    assert [one["code"] for one in failures(lab, job, code="unreadable_image")] == ["unreadable_image"]
    assert len(failures(lab, job, code="worker_error")) == 2
    assert failures(lab, job, code="save_error") == []
    assert len(failures(lab, job, code="")) == 3
    answer = lab.get(at(job, "failures"), "member", code="bad_luck")
    assert answer.status_code == 400
    assert "bad_luck" in answer.json()["code"][0]


def test_failures_of_other_jobs_are_not_shown(lab: Lab, job: Job) -> None:
    assert failures(lab, lab.world.started_job(1)) == []
    assert lab.get(f"/api/v2/jobs/{job.pk + 1_000}/failures/").status_code == 404


def test_a_failure_whose_capture_is_gone_is_still_told(lab: Lab, job: Job) -> None:
    image = failures(lab, job)[0]["image_id"]
    SourceImage.objects.filter(pk=image).delete()
    shown = failures(lab, job)[0]
    assert (shown["image_id"], shown["capture"]) == (image, None)


def test_everybody_in_the_project_sees_workers_and_reasons(lab: Lab, job: Job) -> None:
    for who in (*ROLE_OF, "superuser"):
        shown = failures(lab, job, who)[0]
        assert (shown["workers"], shown["reason"]) == ([ALICE.name, BOB.name], "never"), who


def test_strangers_see_what_failed_and_neither_names_nor_texts(lab: Lab, job: Job) -> None:
    for who in ("anonymous", "outsider"):
        answer = lab.get(at(job, "failures"), who)
        text = answer.content.decode()
        for secret in (ALICE.name, BOB.name, "never", "not now", "broken"):
            assert secret not in text, who
        shown = answer.json()["results"][0]
        assert (shown["code"], shown["workers"], shown["reason"]) == ("unreadable_image", [], "")
        assert {(one["worker"], one["reason"]) for one in shown["attempts"]} == {(None, "")}


def test_a_worker_key_sees_the_names_of_its_own_service_alone(lab: Lab) -> None:
    job = lab.world.started_job(2)
    key = lab.key()
    for client, name in ((lab.machine(key), "gpu-1"), (lab.client("worker"), "gpu-2")):
        info = {"client_info": {"instance": name}}
        (task,) = client.post(at(job, "tasks"), {"batch_size": 1, **info}).json()["tasks"]
        failure = {"reply_subject": task["reply_subject"], "error": f"of {name}", "retryable": False}
        client.post("/api/v2/tasks/fail/", {"failures": [failure], **info})
    theirs, own = lab.machine(key).get(at(job, "failures")).json()["results"]
    assert own["workers"] == [own["attempts"][0]["worker"]] == ["Lab GPUs / gpu-1"]
    assert (theirs["workers"], theirs["attempts"][0]["worker"]) == ([], None)
    assert len(failures(lab, job)[0]["workers"]) == 1


def test_failed_images_are_done_again(
    lab: Lab, job: Job, django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks
) -> None:
    with django_capture_on_commit_callbacks(execute=True):
        answer = lab.post(at(job, "retry-failed"), who="manager")
    shown = answer.json()
    assert (answer.status_code, list(shown)) == (200, [*KEYS, "requeued", "reason"])
    assert (shown["status"], shown["requeued"], shown["reason"]) == ("PENDING", 3, "")
    assert ("dispatch", job.pk) in lab.world.background.asked
    user = lab.user("manager").pk
    assert shown["logs"]["stdout"][0].endswith(f"Job started again by user {user} (run 2) for 3 images.")
    lab.world.dispatch(job)
    lab.world.work_off(job)
    lab.world.assert_ended_exactly(job, 4)
    assert failures(lab, job) == []


def test_only_the_named_images_are_done_again(lab: Lab, job: Job) -> None:
    chosen = [one["image_id"] for one in failures(lab, job)[:2]]
    shown = lab.post(at(job, "retry-failed"), {"images": [chosen[0], str(chosen[1])]}).json()
    assert (shown["requeued"], shown["reason"]) == (2, "")
    assert lab.world.tally(job) == {"pending": 2, "failed": 1, "processed": 1}


def test_images_that_did_not_fail_are_told(lab: Lab, job: Job) -> None:
    chosen = failures(lab, job)[0]["image_id"]
    shown = lab.post(at(job, "retry-failed"), {"images": [chosen, 10**15]}).json()
    assert (shown["requeued"], shown["reason"]) == (1, "1 of the 2 images are not failed in this job.")


@pytest.mark.parametrize("state", ["PENDING", "STARTED", "RETRY", "CANCELING"])
def test_a_job_that_has_not_ended_stays_as_it_is_and_says_so(lab: Lab, job: Job, state: str) -> None:
    Job.objects.filter(pk=job.pk).update(status=state)
    answer = lab.post(at(job, "retry-failed"))
    shown = answer.json()
    assert (answer.status_code, shown["status"], shown["requeued"]) == (200, state, 0)
    assert "has not ended" in shown["reason"]
    job.refresh_from_db()
    assert (job.run, lab.world.tally(job)) == (1, {"processed": 1, "failed": 3})


def test_a_repeated_call_does_no_harm(lab: Lab, job: Job) -> None:
    answers = [lab.post(at(job, "retry-failed")).json() for _ in range(2)]
    assert [answer["requeued"] for answer in answers] == [3, 0]
    job.refresh_from_db()
    assert job.run == 2
    assert JobLog.objects.filter(job=job, message__contains="started again").count() == 1


def test_a_job_without_failures_stays_as_it_ended(lab: Lab) -> None:
    job = lab.world.started_job(1)
    lab.world.work_off(job)
    shown = lab.post(at(job, "retry-failed")).json()
    assert (shown["status"], shown["requeued"]) == ("SUCCESS", 0)
    assert shown["reason"] == "No image of this job is failed."


def test_a_job_whose_pipeline_is_gone_cannot_be_repeated(lab: Lab, job: Job) -> None:
    Job.objects.filter(pk=job.pk).update(pipeline=None)
    answer = lab.post(at(job, "retry-failed"))
    assert answer.status_code == 400
    assert "has no pipeline" in answer.json()["detail"]
    assert DeadLetter.objects.count() == 3


@pytest.mark.parametrize("images", [[], [0], [-1], ["moth"], [1.5], "7", {"a": 1}, None, [2**63], [[1]]])
def test_a_senseless_list_of_images_is_a_400(lab: Lab, job: Job, images: Any) -> None:
    answer = lab.post(at(job, "retry-failed"), {"images": images})
    assert (answer.status_code, list(answer.json())) == (400, ["images"]), images
    job.refresh_from_db()
    assert job.run == 1


def test_a_body_that_is_no_object_is_a_400(lab: Lab, job: Job) -> None:
    assert lab.post(at(job, "retry-failed"), [1, 2]).status_code == 400
    assert lab.post(at(job, "retry-failed"), {"images": [1] * 10_001}).status_code == 400


def test_failures_are_read_and_retries_are_posted(lab: Lab, job: Job) -> None:
    assert lab.post(at(job, "failures")).status_code == 405
    assert lab.get(at(job, "retry-failed")).status_code == 405


def test_people_may_look_at_failures_in_a_browser(lab: Lab, job: Job) -> None:
    execute("UPDATE jobs_jobtask SET error_text = '<script>' WHERE status = 3")
    page = lab.client("member").get(at(job, "failures"), HTTP_ACCEPT="text/html")
    assert page.status_code == 200
    assert "&lt;script&gt;" in page.content.decode()

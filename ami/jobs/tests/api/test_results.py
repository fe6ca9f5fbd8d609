"""POST /jobs/{id}/result/: bodies and answers (contract 1.9.4); what becomes of results is lifecycle."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import OperationalError
from pytest_django.fixtures import Settings
from rest_framework.request import Request

from ami.base.failpoints import arm
from ami.jobs.api import worker_views
from ami.jobs.api.result_body import PostedItems
from ami.jobs.api.worker_wire import posted_results
from ami.jobs.models import InboxEntry, Job
from ami.jobs.tests.api.lab import Lab, at

pytestmark = pytest.mark.integration


def statuses(answer: Any) -> list[str]:
    """The status of each item."""
    assert answer.status_code == 200, answer.content
    return [item["status"] for item in answer.json()["tasks"]]


def test_a_post_is_accepted_with_an_entry_for_each_item(lab: Lab) -> None:
    job = lab.world.started_job(images=2)
    items = [lab.success(task) for task in lab.tasks(job)]
    answer = lab.post(at(job, "result"), {"results": items, "client_info": {"hostname": "gpu-01"}})
    assert answer.status_code == 200
    assert list(answer.json()) == ["status", "job_id", "results_queued", "tasks"]
    assert answer.json()["status"] == "accepted"
    assert (answer.json()["job_id"], answer.json()["results_queued"]) == (job.pk, 2)
    inbox = str(InboxEntry.objects.get(job=job).pk)
    assert answer.json()["tasks"] == [
        {"reply_subject": item["reply_subject"], "status": "queued", "task_id": inbox} for item in items
    ]


REFUSED_BODIES: list[tuple[Any, dict[str, list[str]]]] = [
    ([], {"non_field_errors": ["Invalid data. Expected a dictionary, but got list."]}),
    ([{}], {"non_field_errors": ["Invalid data. Expected a dictionary, but got list."]}),
    ("text", {"non_field_errors": ["Invalid data. Expected a dictionary, but got str."]}),
    ({}, {"results": ["This field is required."]}),
    ({"result": []}, {"results": ["This field is required."]}),
    ({"results": None}, {"results": ["This field may not be null."]}),
    ({"results": {}}, {"results": ['Expected a list of items but got type "dict".']}),
    ({"results": "x"}, {"results": ['Expected a list of items but got type "str".']}),
]


def test_a_body_without_a_list_of_results_is_a_400(lab: Lab) -> None:
    job = lab.world.job(images=0)
    for body, answer in REFUSED_BODIES:
        refused = lab.post(at(job, "result"), body)
        assert (refused.status_code, refused.json()) == (400, answer), body


def test_more_items_than_one_post_may_have_are_a_400(lab: Lab, settings: Settings) -> None:
    settings.RESULT_MAX_ITEMS = 2
    refused = lab.post(at(lab.world.job(images=0), "result"), {"results": [{}] * 3})
    assert (refused.status_code, refused.json()) == (
        400,
        {"results": ["More than 2 items; send at most 2 in one post."]},
    )


def test_an_empty_list_is_accepted(lab: Lab) -> None:
    job = lab.world.job(images=0)
    assert lab.post(at(job, "result"), {"results": []}).json() == {
        "status": "accepted",
        "job_id": job.pk,
        "results_queued": 0,
        "tasks": [],
    }


def test_a_bad_item_does_not_lose_its_neighbours(lab: Lab) -> None:
    job = lab.world.started_job(images=3)
    first, second, third = (lab.success(task) for task in lab.tasks(job))
    second["result"]["detections"][0]["bbox"] = [1, 2, 3, 4]
    strangers = [None, "text", 5, {}, {"reply_subject": None, "result": first["result"]}]
    forged = {"reply_subject": "$JS.ACK.job_1.x.1.1.1.1.0", "result": first["result"]}
    answer = lab.post(at(job, "result"), {"results": [*strangers, first, second, forged, third]})
    assert statuses(answer) == [*["rejected"] * 5, "queued", "retry", "rejected", "queued"]
    assert answer.json()["results_queued"] == 2
    for item in answer.json()["tasks"]:
        assert isinstance(item["reply_subject"], str)
        assert isinstance(item["task_id"], str)
        assert item["status"] == "queued" or item["reason"]


def test_the_same_post_again_is_a_duplicate_and_no_error(lab: Lab) -> None:
    job = lab.world.started_job(images=1)
    post = {"results": [lab.success(task) for task in lab.tasks(job)]}
    assert statuses(lab.post(at(job, "result"), post)) == ["queued"]
    assert statuses(lab.post(at(job, "result"), post)) == ["duplicate"]
    lab.world.background.run()
    assert statuses(lab.post(at(job, "result"), post)) == ["duplicate"]


def test_errors_are_taken_with_and_without_an_image_id(lab: Lab) -> None:
    job = lab.world.started_job(images=2)
    first, second = lab.tasks(job)
    items = [
        {
            "reply_subject": first["reply_subject"],
            "result": {"error": "failed to load image", "image_id": first["image_id"]},
        },
        {"reply_subject": second["reply_subject"], "result": {"error": "boom", "retryable": False}},
    ]
    answer = lab.post(at(job, "result"), {"results": items})
    assert statuses(answer) == ["retry", "failed"]
    assert [item["reason"] for item in answer.json()["tasks"]] == ["failed to load image", "boom"]


def test_results_of_a_cancelled_job_are_answered_so(lab: Lab) -> None:
    job = lab.world.started_job(images=1)
    post = {"results": [lab.success(task) for task in lab.tasks(job)]}
    lab.post(at(job, "cancel"))
    assert statuses(lab.post(at(job, "result"), post)) == ["cancelled"]


def test_a_lease_of_another_worker_is_refused(lab: Lab) -> None:
    job = lab.world.started_job(images=1)
    post = {"results": [lab.success(task) for task in lab.tasks(job, who="worker")]}
    assert statuses(lab.post(at(job, "result"), post, "superuser")) == ["rejected"]
    assert statuses(lab.post(at(job, "result"), post, "worker")) == ["queued"]


def test_a_lease_of_another_job_is_refused(lab: Lab) -> None:
    job, other = lab.world.started_job(images=1), lab.world.started_job(images=1)
    post = {"results": [lab.success(task) for task in lab.tasks(job)]}
    assert statuses(lab.post(at(other, "result"), post)) == ["rejected"]


def test_an_unknown_job_is_not_found(lab: Lab) -> None:
    answer = lab.post("/api/v2/jobs/999999/result/", {"results": []})
    assert (answer.status_code, answer.json()) == (404, {"detail": "Not found."})


def test_a_job_deleted_during_the_post_is_not_found(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    job = lab.world.started_job(images=1)
    post = {"results": [lab.success(task) for task in lab.tasks(job)]}

    def delete_job_meanwhile(request: Request) -> PostedItems:
        Job.objects.filter(pk=job.pk).delete()
        return posted_results(request)

    monkeypatch.setattr(worker_views, "posted_results", delete_job_meanwhile)
    answer = lab.post(at(job, "result"), post)
    assert (answer.status_code, answer.json()) == (404, {"detail": "Not found."})


def test_when_the_commit_fails_the_worker_is_told_to_post_again(lab: Lab) -> None:
    job = lab.world.started_job(images=1)
    post = {"results": [lab.success(task) for task in lab.tasks(job)]}

    def lose_connection() -> None:
        raise OperationalError("server closed the connection unexpectedly")

    with arm("receive.before_commit", lose_connection):
        answer = lab.post(at(job, "result"), post)
    assert answer.status_code == 503
    assert int(answer["Retry-After"]) >= 1
    assert (answer.json()["status"], answer.json()["job_id"]) == ("error", job.pk)
    assert "Repeating a post does no harm" in answer.json()["detail"]
    assert statuses(lab.post(at(job, "result"), post)) == ["queued"]

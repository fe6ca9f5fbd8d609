"""GET /jobs/: pages, filters, search and order (contract 1.0 and 1.9.1)."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from ami.base import clock
from ami.jobs.models import Job, JobStage
from ami.jobs.tests.api.lab import JOBS, Lab, at, other_project
from ami.ml.models import Pipeline

pytestmark = pytest.mark.integration


def test_the_envelope_has_its_keys_in_order(lab: Lab) -> None:
    lab.world.job()
    page = lab.get().json()
    assert list(page) == ["count", "next", "previous", "results", "user_permissions"]
    assert (page["count"], page["next"], page["previous"]) == (1, None, None)


def test_jobs_come_newest_first_in_pages_of_twenty(lab: Lab) -> None:
    jobs = [lab.world.job(images=0).pk for _ in range(22)]
    page = lab.get().json()
    assert [item["id"] for item in page["results"]] == jobs[:1:-1]
    assert page["next"] == "http://testserver/api/v2/jobs/?limit=20&offset=20"
    rest = lab.get(page["next"]).json()
    assert [item["id"] for item in rest["results"]] == jobs[1::-1]
    assert (rest["count"], rest["next"]) == (22, None)


@pytest.mark.parametrize("parameter", ["limit", "page_size"])
def test_the_length_of_a_page_can_be_asked_for(lab: Lab, parameter: str) -> None:
    jobs = [lab.world.job(images=0).pk for _ in range(4)]
    assert lab.listed("superuser", **{parameter: 2}) == [jobs[3], jobs[2]]
    assert lab.listed("superuser", offset=1, **{parameter: 2}) == [jobs[2], jobs[1]]


def test_the_page_says_whether_the_caller_may_create_jobs(lab: Lab) -> None:
    project = lab.world.project.pk
    assert lab.get(who="superuser").json()["user_permissions"] == ["create"]
    assert lab.get(who="member", project_id=project).json()["user_permissions"] == ["create"]
    assert lab.get(who="member").json()["user_permissions"] == []
    assert lab.get(who="outsider", project_id=project).json()["user_permissions"] == []


@pytest.mark.parametrize("asked", ["STARTED", "started", "Started"])
def test_a_state_is_found_whatever_its_case(lab: Lab, asked: str) -> None:
    lab.world.job()
    started = lab.world.started_job()
    assert lab.listed(status=asked) == [started.pk]


NONSENSE: list[tuple[dict[str, Any], dict[str, list[str]]]] = [
    (
        {"status": "bored"},
        {"status": ["Select a valid choice. bored is not one of the available choices."]},
    ),
    (
        {"dispatch_mode": "x"},
        {"dispatch_mode": ["Select a valid choice. x is not one of the available choices."]},
    ),
    (
        {"pipeline": 10**9},
        {"pipeline": ["Select a valid choice. That choice is not one of the available choices."]},
    ),
    ({"project_id": "x"}, {"project_id": ["A valid integer is required."]}),
    ({"project_id": "-1"}, {"project_id": ["A valid integer is required."]}),
    ({"cutoff_hours": "x"}, {"cutoff_hours": ["A valid integer is required."]}),
    ({"cutoff_hours": "1.5"}, {"cutoff_hours": ["A valid integer is required."]}),
    ({"cutoff_hours": "-1"}, {"cutoff_hours": ["Must be between 0 and 876000."]}),
]


def test_nonsense_in_a_filter_is_a_400_with_its_name(lab: Lab) -> None:
    for query, answer in NONSENSE:
        refused = lab.get(**query)
        assert (refused.status_code, refused.json()) == (400, answer), query


def test_jobs_are_found_by_every_part_that_they_have(lab: Lab) -> None:
    lab.world.job()
    single = lab.single_image_job()
    stationed = lab.world.job(source_image_collection=None, deployment=lab.world.deployment)
    plain = lab.world.job(pipeline=None, job_type_key="data_storage_sync")
    assert lab.listed(source_image_single=single.source_image_single_id) == [single.pk]
    assert lab.listed(deployment=lab.world.deployment.pk) == [stationed.pk]
    assert lab.listed(source_image_collection=plain.source_image_collection_id) == [plain.pk]
    assert lab.listed(job_type_key="data_storage_sync") == [plain.pk]
    assert lab.listed(dispatch_mode="internal") == [plain.pk]
    assert plain.pk not in lab.listed(pipeline=lab.world.pipeline.pk)
    assert plain.pk not in lab.listed(pipeline__slug=lab.world.pipeline.slug)
    assert len(lab.listed(project=lab.world.project.pk)) == 4


def test_slugs_come_as_a_list_with_commas(lab: Lab) -> None:
    job = lab.world.job()
    Pipeline.objects.create(name="Another", slug="another")
    assert lab.listed(pipeline__slug__in=f"nobody,{lab.world.pipeline.slug}") == [job.pk]
    assert lab.listed(pipeline__slug__in="another,nobody") == []
    flood = lab.get(pipeline__slug__in=",".join(map(str, range(1_001))))
    assert (flood.status_code, list(flood.json())) == (400, ["pipeline__slug__in"])


def test_a_project_narrows_the_list_and_an_unknown_one_does_not(lab: Lab) -> None:
    ours = lab.world.job()
    project, _ = other_project()
    theirs = Job.objects.create(name="Theirs", project=project)
    assert lab.listed(project_id=project.pk) == [theirs.pk]
    assert lab.listed(project_id=lab.world.project.pk) == [ours.pk]
    assert lab.listed(project_id=10**9) == [theirs.pk, ours.pk]


def test_jobs_of_a_draft_are_listed_for_its_members_only(lab: Lab) -> None:
    job = lab.world.job()
    project = lab.world.project
    project.draft = True
    project.save()
    assert lab.listed("anonymous") == lab.listed("outsider") == []
    assert lab.listed("member") == lab.listed("worker") == lab.listed("superuser") == [job.pk]
    nameable = lab.get(who="member", project=project.pk)
    hidden = lab.get(who="outsider", project=project.pk)
    unknown = lab.get(who="outsider", project=10**9)
    assert nameable.status_code == 200
    assert (hidden.status_code, hidden.json()) == (400, unknown.json())


def test_search_looks_into_names_of_jobs_and_of_pipelines(lab: Lab) -> None:
    night = lab.world.job(name="Second night")
    plain = lab.world.job(name="Plain", pipeline=None)
    assert lab.listed(search="second") == [night.pk]
    assert lab.listed(search=lab.world.pipeline.name) == [night.pk]
    assert lab.listed(search="plain") == [plain.pk]


def test_order_is_asked_for_with_nulls_last_and_unknown_fields_are_ignored(lab: Lab) -> None:
    b, a, c = (lab.world.job(name=name) for name in "bac")
    Job.objects.filter(pk=a.pk).update(started_at=clock.now())
    assert lab.listed(ordering="name") == [a.pk, b.pk, c.pk]
    assert lab.listed(ordering="-name") == [c.pk, b.pk, a.pk]
    assert lab.listed(ordering="-started_at")[0] == a.pk
    assert lab.listed(ordering="started_at")[0] == a.pk
    assert lab.listed(ordering="created_by__password") == [c.pk, a.pk, b.pk]


def test_incomplete_jobs_are_those_not_ended_whose_results_are_not_all_in(lab: Lab) -> None:
    created, started, done, saved, plain = (lab.world.job(name=str(n)) for n in range(5))
    Job.objects.filter(pk=started.pk).update(status="STARTED")
    Job.objects.filter(pk=done.pk).update(status="FAILURE")
    Job.objects.filter(pk=saved.pk).update(status="STARTED")
    JobStage.objects.filter(job=saved, key="results").update(status="SUCCESS")
    JobStage.objects.filter(job=plain).delete()
    assert set(lab.listed(incomplete_only=1)) == {created.pk, started.pk, plain.pk}


def test_a_flag_is_on_unless_it_says_no(lab: Lab) -> None:
    job = lab.world.job()
    Job.objects.filter(pk=job.pk).update(status="SUCCESS")
    for yes in ("", "1", "true", "no"):
        assert lab.listed(incomplete_only=yes) == [], yes
    for no in ("0", "false", "False"):
        assert lab.listed(incomplete_only=no) == [job.pk], no


def test_old_failures_are_hidden_only_when_a_cutoff_is_asked_for(lab: Lab) -> None:
    old_failure, new_failure, old_success = (lab.world.job(name=str(n)) for n in range(3))
    Job.objects.filter(pk__in=[old_failure.pk, new_failure.pk]).update(status="FAILURE")
    Job.objects.filter(pk=old_success.pk).update(status="SUCCESS")
    long_ago = clock.now() - timedelta(hours=5)
    Job.objects.filter(pk__in=[old_failure.pk, old_success.pk]).update(updated_at=long_ago)
    assert lab.listed() == [old_success.pk, new_failure.pk, old_failure.pk]
    assert lab.listed(cutoff_hours=4) == [old_success.pk, new_failure.pk]
    assert lab.listed(cutoff_hours=6) == [old_success.pk, new_failure.pk, old_failure.pk]
    assert lab.listed(cutoff_hours=0) == [old_success.pk]


def test_the_list_without_a_slash_redirects_and_keeps_its_query(lab: Lab) -> None:
    answer = lab.get("/api/v2/jobs?ids_only=1&pipeline__slug__in=a%2Cb")
    assert answer.status_code == 301
    assert answer["Location"] == "/api/v2/jobs/?ids_only=1&pipeline__slug__in=a%2Cb"


def test_addresses_may_end_in_a_format(lab: Lab) -> None:
    job = lab.world.job()
    assert lab.get("/api/v2/jobs.json").json()["count"] == 1
    assert lab.get(f"/api/v2/jobs/{job.pk}.json").json()["id"] == job.pk


def test_an_unknown_job_is_not_found_whatever_its_key_looks_like(lab: Lab) -> None:
    for key in ("999999", "abc", "-1", "9" * 30, "1e3", "٣"):
        answer = lab.get(f"{JOBS}{key}/")
        assert (answer.status_code, answer.json()) == (404, {"detail": "Not found."}), key


def test_people_may_browse_jobs_without_loading_every_capture(lab: Lab) -> None:
    job = lab.world.job(images=3)
    for address in (JOBS, at(job)):
        page = lab.client("superuser").get(address, HTTP_ACCEPT="text/html")
        assert page.status_code == 200
        assert b"images.example" not in page.content

"""GET /jobs/?ids_only: what workers poll (contract 1.9.1, part B 2 and 6)."""

from __future__ import annotations

import pytest
from pytest_django.fixtures import Settings

from ami.jobs.lifecycle import openings
from ami.jobs.models import Job
from ami.jobs.tests.api.lab import Lab, other_project
from ami.ml.models import ProjectPipelineConfig

pytestmark = pytest.mark.integration

POLL = {"ids_only": "1", "incomplete_only": "1", "dispatch_mode": "async_api"}


def test_an_item_is_an_id_and_a_slug(lab: Lab) -> None:
    job = lab.world.started_job()
    page = lab.get(**POLL, pipeline__slug__in=lab.world.pipeline.slug).json()
    assert list(page) == ["count", "next", "previous", "results", "user_permissions"]
    assert page["results"] == [
        {"id": job.pk, "pipeline_slug": lab.world.pipeline.slug, "user_permissions": []}
    ]


@pytest.mark.parametrize("parameter", ["limit", "page_size"])
def test_one_job_is_listed_unless_more_are_asked_for(lab: Lab, parameter: str) -> None:
    for _ in range(3):
        lab.world.started_job(images=1)
    page = lab.get(**POLL).json()
    assert (page["count"], len(page["results"])) == (3, 1)
    assert page["next"] is not None
    assert len(lab.listed("superuser", **POLL, **{parameter: 2})) == 2


def test_many_workers_are_spread_over_many_jobs(lab: Lab) -> None:
    jobs = {lab.world.started_job(images=1).pk for _ in range(3)}
    seen: set[int] = set()
    for _ in range(60):  # that one of three stays unseen has a chance of one in 10^10
        seen.update(lab.listed(**POLL))
        if seen == jobs:
            break
    assert seen == jobs


def test_a_job_without_pipeline_is_never_listed(lab: Lab) -> None:
    job = lab.world.started_job()
    Job.objects.filter(pk=job.pk).update(pipeline=None)
    assert lab.listed(ids_only=1) == lab.listed(**POLL) == []
    assert lab.listed() == [job.pk]


def test_a_flag_that_says_no_gives_whole_jobs(lab: Lab) -> None:
    job = lab.world.started_job()
    assert lab.get(ids_only="0").json()["results"][0]["name"] == job.name


def test_filters_of_the_list_hold_for_polls(lab: Lab) -> None:
    job = lab.world.started_job()
    assert lab.listed(**POLL, pipeline__slug__in=f"a,{lab.world.pipeline.slug}") == [job.pk]
    assert lab.listed(**POLL, pipeline__slug__in="a,b") == []
    assert lab.listed(**POLL | {"dispatch_mode": "sync_api"}) == []
    assert lab.listed(**POLL, status="success") == []


def test_an_ended_job_is_not_listed(lab: Lab) -> None:
    job = lab.world.started_job(images=1)
    lab.world.work_off(job)
    assert job.status == "SUCCESS"
    assert lab.listed(**POLL) == []


def test_a_job_whose_images_are_all_in_hands_is_not_listed_until_a_lease_is_over(lab: Lab) -> None:
    job = lab.world.started_job(images=2)
    tasks = lab.tasks(job)
    assert len(tasks) == 2
    assert lab.listed(**POLL) == []
    lab.world.let_leases_run_out(job)
    assert lab.listed(**POLL) == [job.pk]


def test_a_job_whose_images_pause_after_an_error_is_not_listed(lab: Lab, settings: Settings) -> None:
    settings.RETRY_BACKOFF_SECONDS = 60
    job = lab.world.started_job(images=1)
    (answer,) = lab.world.post(job, [lab.world.error(task) for task in lab.world.reserve(job)])
    assert answer.status == "retry"
    assert lab.listed(**POLL) == []


def test_that_a_job_is_drained_is_looked_up_once_a_second(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(openings, "DRAINED_SECONDS", 60.0)
    job = lab.world.started_job(images=1)
    lab.tasks(job)
    assert lab.listed(**POLL) == []
    lab.world.let_leases_run_out(job)
    assert lab.listed(**POLL) == []
    openings.forget_drained()
    assert lab.listed(**POLL) == [job.pk]


def test_a_job_whose_results_are_being_saved_is_not_listed(lab: Lab) -> None:
    job = lab.world.started_job(images=2)
    lab.world.post(job, [lab.world.success(task) for task in lab.world.reserve(job)])
    assert lab.listed(**POLL) == []


def test_a_job_with_an_image_left_is_listed_while_others_are_in_hands(lab: Lab) -> None:
    job = lab.world.started_job(images=3)
    lab.tasks(job, 2)
    assert lab.listed(**POLL) == [job.pk]


def test_jobs_that_hand_out_tasks_come_before_those_that_do_not_yet(lab: Lab) -> None:
    waiting = [lab.world.job(images=1).pk for _ in range(5)]
    started = lab.world.started_job(images=1)
    for _ in range(5):
        assert lab.listed(**POLL) == [started.pk]
    everything = lab.listed(**POLL, limit=10)
    assert everything[0] == started.pk
    assert set(everything[1:]) == set(waiting)


def test_a_worker_is_shown_jobs_of_projects_in_which_it_works(lab: Lab) -> None:
    ours = lab.world.started_job(images=1)
    project, capture = other_project()
    ProjectPipelineConfig.objects.create(project=project, pipeline=lab.world.pipeline)
    theirs = lab.world.started_job(project=project, source_image_collection=None, source_image_single=capture)
    assert lab.listed("worker", **POLL, limit=10) == [ours.pk]
    assert lab.listed("worker", ids_only=1, limit=10) == [ours.pk]
    assert set(lab.listed("superuser", **POLL, limit=10)) == {ours.pk, theirs.pk}
    assert set(lab.listed("worker")) == {ours.pk, theirs.pk}


@pytest.mark.parametrize("who", ["anonymous", "outsider", "member"])
def test_everybody_may_poll_jobs_of_public_projects(lab: Lab, who: str) -> None:
    job = lab.world.started_job()
    assert lab.listed(who, **POLL) == [job.pk]


@pytest.mark.parametrize("who", ["anonymous", "outsider"])
def test_jobs_of_a_draft_are_not_polled_by_strangers(lab: Lab, who: str) -> None:
    lab.world.started_job()
    lab.world.project.draft = True
    lab.world.project.save()
    assert lab.listed(who, **POLL) == []

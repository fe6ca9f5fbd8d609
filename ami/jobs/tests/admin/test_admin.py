"""Jobs in the admin: what is shown, what cannot be changed, and what actions do."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib import admin
from django.db import connection
from django.db.models.signals import post_init
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from ami.base.admin import pages
from ami.base.database import rows
from ami.jobs.models import Attempt, InboxEntry, Job, JobLog, JobStage, JobTask
from ami.jobs.tests.world import World
from ami.users.tests.factories import make_user

pytestmark = pytest.mark.integration

OF_JOBS: list[Any] = [JobTask, Attempt, InboxEntry, JobLog]
"""Models whose rows belong to a job."""


@pytest.fixture
def operator(light_world: World, client: Client) -> Client:
    """A superuser, logged in."""
    client.force_login(make_user(name="Operator", is_superuser=True, is_staff=True))
    return client


@pytest.fixture
def job(light_world: World) -> Job:
    """A job with rows in every table: an image processed, one failed, one accepted, one open."""
    job = light_world.started_job(images=4)
    done, broken, accepted = light_world.reserve(job, 3)
    light_world.post(job, [light_world.success(done), light_world.error(broken, retryable=False)])
    light_world.background.run()
    light_world.post(job, [light_world.success(accepted)])
    job.refresh_from_db()
    return job


def page(model: Any, name: str = "changelist", *args: Any) -> str:
    """The address of an admin page."""
    return reverse(f"admin:jobs_{model._meta.model_name}_{name}", args=args)


def ask(operator: Client, action: str, *jobs: Job) -> str:
    """Choose an action for jobs; returns the page that comes back."""
    data = {"action": action, "_selected_action": [job.pk for job in jobs]}
    answer = operator.post(page(Job), data, follow=True)
    assert answer.status_code == 200
    return answer.content.decode()


def agree(operator: Client, action: str, *jobs: Job) -> str:
    """The same, and say yes on the page that asks."""
    assert 'name="confirmed" value="yes"' in ask(operator, action, *jobs)
    data = {"action": action, "_selected_action": [job.pk for job in jobs], "confirmed": "yes"}
    return operator.post(page(Job), data, follow=True).content.decode()


def test_every_list_shows_its_rows_and_every_row_its_page(operator: Client, job: Job) -> None:
    for model in (Job, *OF_JOBS):
        shown = operator.get(page(model))
        assert shown.status_code == 200, model
        row = model.objects.order_by("-pk")[0]
        assert f'href="{page(model, "change", row.pk)}' in shown.content.decode(), model
        assert operator.get(page(model, "change", row.pk)).status_code == 200, model


def test_a_list_costs_the_same_however_many_rows_it_shows(
    operator: Client, light_world: World, job: Job
) -> None:
    def costs() -> list[int]:
        return [cost(page(model)) for model in (Job, *OF_JOBS)]

    def cost(address: str) -> int:
        with CaptureQueriesContext(connection) as captured:
            operator.get(address)
        return len(captured)

    costs()
    few = costs()
    for _ in range(3):
        more = light_world.started_job(images=2)
        light_world.post(more, [light_world.error(light_world.reserve(more, 1)[0], retryable=False)])
        light_world.post(more, [light_world.success(light_world.reserve(more, 1)[0])])
    assert costs() == few
    assert max(few) <= 12


def test_a_job_shows_its_stages_and_the_way_to_its_rows(operator: Client, job: Job) -> None:
    shown = operator.get(page(Job, "change", job.pk)).content.decode()
    assert "Total Images: 4" in shown
    for model in OF_JOBS:
        link = f"{page(model)}?job__id__exact={job.pk}"
        assert link in shown
        assert operator.get(link).context["cl"].result_count == model.objects.filter(job=job).count() > 0


def test_name_and_priority_of_a_job_may_change_and_nothing_else(operator: Client, job: Job) -> None:
    stages = JobStage.objects.filter(job=job)
    form = {
        "name": "Renamed",
        "priority": "30",
        "status": "SUCCESS",
        "run": "7",
        "project": "",
        "dispatch_mode": "internal",
        "stages-TOTAL_FORMS": "0",
        "stages-INITIAL_FORMS": "0",
    }
    before = list(stages.values())
    answer = operator.post(page(Job, "change", job.pk), form)
    assert answer.status_code == 302
    renamed = Job.objects.get(pk=job.pk)
    assert (renamed.name, renamed.priority) == ("Renamed", 30)
    assert (renamed.status, renamed.run, renamed.project_id) == (job.status, job.run, job.project_id)
    assert renamed.dispatch_mode == job.dispatch_mode
    assert list(stages.values()) == before


def test_a_job_that_moved_on_while_it_was_edited_stays_where_it_is(operator: Client, job: Job) -> None:
    form = {"name": "Renamed", "priority": "10", "stages-TOTAL_FORMS": "0", "stages-INITIAL_FORMS": "0"}

    def move_on(sender: object, instance: Job, **_: object) -> None:
        Job.objects.filter(pk=instance.pk).update(status="REVOKED")

    post_init.connect(move_on, sender=Job)
    try:
        assert operator.post(page(Job, "change", job.pk), form).status_code == 302
    finally:
        post_init.disconnect(move_on, sender=Job)
    moved = Job.objects.get(pk=job.pk)
    assert (moved.name, moved.status) == ("Renamed", "REVOKED")


def test_nothing_is_added_by_hand(operator: Client) -> None:
    for model in (Job, *OF_JOBS):
        assert operator.get(page(model, "add")).status_code == 403, model


def test_rows_of_jobs_are_neither_changed_nor_deleted_by_hand(operator: Client, job: Job) -> None:
    for model in OF_JOBS:
        row = model.objects.order_by("-pk")[0]
        assert operator.post(page(model, "change", row.pk), {"run": 99, "level": "x"}).status_code == 403
        assert operator.post(page(model, "delete", row.pk), {"post": "yes"}).status_code == 403
        now = model.objects.get(pk=row.pk)
        assert all(getattr(now, f.attname) == getattr(row, f.attname) for f in model._meta.concrete_fields)


def test_staff_without_permissions_see_no_jobs(light_world: World, client: Client) -> None:
    client.force_login(make_user(is_staff=True))
    assert client.get(page(Job)).status_code == 403
    assert client.get(page(JobTask)).status_code == 403


def test_rows_are_found_by_the_number_of_their_job(operator: Client, light_world: World, job: Job) -> None:
    for model in OF_JOBS:
        found = operator.get(page(model), {"q": str(job.pk)}).context["cl"].result_count
        assert found == model.objects.filter(job=job).count() > 0, model
        for nonsense in ("0", "moth", "1.5", "-1"):
            assert operator.get(page(model), {"q": nonsense}).context["cl"].result_count == 0, model


def test_large_lists_are_not_counted_to_the_end(
    operator: Client, job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pages, "MOST_COUNTED", 3)
    with CaptureQueriesContext(connection) as captured:
        shown = operator.get(page(JobTask))
    assert shown.context["cl"].result_count == 3
    counts = [query["sql"] for query in captured.captured_queries if "COUNT(*)" in query["sql"]]
    assert counts
    assert all("LIMIT 3" in sql for sql in counts)


def test_filters_and_search_work_on_the_list_of_jobs(operator: Client, light_world: World, job: Job) -> None:
    light_world.job(name="Another night")
    for query, found in (
        ({"status__exact": "STARTED"}, 1),
        ({"dispatch_mode__exact": "async_api"}, 2),
        ({"pipeline__id__exact": light_world.pipeline.pk}, 2),
        ({"q": "another"}, 1),
        ({"q": light_world.project.name}, 2),
    ):
        assert operator.get(page(Job), query).context["cl"].result_count == found, query


def test_the_inbox_never_loads_a_body(operator: Client, job: Job) -> None:
    with CaptureQueriesContext(connection) as captured:
        operator.get(page(InboxEntry))
    assert not any('"jobs_inboxentry"."body",' in query["sql"] for query in captured.captured_queries)


def test_run_submits_created_jobs_and_says_what_it_could_not_do(
    operator: Client, light_world: World, django_capture_on_commit_callbacks: Any
) -> None:
    good, bad = light_world.job(), light_world.job(pipeline=None, name="Without pipeline")
    with django_capture_on_commit_callbacks(execute=True):
        shown = ask(operator, "run_jobs", good, bad)
    good.refresh_from_db()
    bad.refresh_from_db()
    assert (good.status, bad.status) == ("PENDING", "CREATED")
    assert light_world.background.asked == [("dispatch", good.pk)]
    assert "has no pipeline" in shown
    assert "done for 1 of 2 selected jobs" in shown


def test_cancel_ends_running_jobs(operator: Client, light_world: World, job: Job) -> None:
    agree(operator, "cancel_jobs", job)
    job.refresh_from_db()
    assert job.status == "REVOKED"
    assert light_world.standing(job) is None


def test_retry_repeats_ended_jobs_and_leaves_others_alone(
    operator: Client, light_world: World, job: Job
) -> None:
    ended = light_world.started_job()
    agree(operator, "cancel_jobs", ended)
    ask(operator, "retry_jobs", ended, job)
    ended.refresh_from_db()
    job.refresh_from_db()
    assert (ended.status, ended.run) == ("PENDING", 2)
    assert (job.status, job.run) == ("STARTED", 1)


def test_the_log_of_a_job_says_who_asked_for_what(operator: Client, light_world: World) -> None:
    job = light_world.job()
    user = operator.session["_auth_user_id"]
    for action in ("run", "cancel", "retry"):
        (agree if action == "cancel" else ask)(operator, f"{action}_jobs", job)
        lines = JobLog.objects.filter(job=job).values_list("message", flat=True)
        assert f"User {user} asked in the admin: {action}." in lines


def test_deleting_a_job_cancels_it_and_reads_none_of_its_rows(
    operator: Client, light_world: World, job: Job
) -> None:
    with CaptureQueriesContext(connection) as captured:
        shown = operator.get(page(Job, "delete", job.pk))
    assert shown.status_code == 200
    assert not any("jobs_jobtask" in query["sql"] for query in captured.captured_queries)
    operator.post(page(Job, "delete", job.pk), {"post": "yes"})
    assert not Job.objects.filter(pk=job.pk).exists()
    assert light_world.standing(job) is None


def test_several_jobs_are_deleted_at_once(operator: Client, light_world: World) -> None:
    jobs = [light_world.started_job(), light_world.job()]
    data = {"action": "delete_selected", "_selected_action": [job.pk for job in jobs], "post": "yes"}
    operator.post(page(Job), data)
    assert not Job.objects.exists()
    assert light_world.standing(jobs[0]) is None
    assert rows("SELECT count(*) FROM jobs_jobtask") == [(0,)]


def test_every_model_of_jobs_can_be_looked_at() -> None:
    assert {Job, *OF_JOBS} <= set(admin.site._registry)

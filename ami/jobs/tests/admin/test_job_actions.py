"""Actions on jobs in the admin: they ask, go through the lifecycle, and leave a trace of who did it."""

from __future__ import annotations

import html
import re
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.test import Client
from django.urls import reverse

from ami.jobs.admin import job_actions
from ami.jobs.models import ExportFormat, HealthReport, Job, JobLog
from ami.jobs.tests.world import World
from ami.users.tests.factories import make_user

pytestmark = pytest.mark.integration

LIST = "/admin/jobs/job/"


@pytest.fixture
def operator(light_world: World, client: Client) -> Client:
    """A superuser, logged in."""
    client.force_login(make_user(name="Operator", is_superuser=True, is_staff=True))
    return client


def ask(operator: Client, action: str, *jobs: Job, **more: str) -> Any:
    """Choose an action for jobs."""
    return operator.post(LIST, {"action": action, "_selected_action": [job.pk for job in jobs]} | more)


def told(operator: Client, action: str, *jobs: Job, **more: str) -> list[str]:
    """The same; what the operator is told on the page that comes next."""
    answer = ask(operator, action, *jobs, **more)
    assert answer.status_code == 302
    return [str(message) for message in operator.get(answer.url).context["messages"]]


def text_of(page: Any) -> str:
    """What a page says, without its markup."""
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", page.content.decode())).split())


def ended_with_failures(world: World) -> Job:
    """An ended job with one failed image of two."""
    job = world.started_job(images=2)
    good, bad = world.reserve(job)
    world.post(job, [world.success(good), world.error(bad, retryable=False)])
    world.background.run()
    job.refresh_from_db()
    assert job.is_final
    return job


def test_cancelling_asks_first_and_says_what_it_costs(operator: Client, light_world: World) -> None:
    running, ended = light_world.started_job(images=4), ended_with_failures(light_world)
    asked = ask(operator, "cancel_jobs", running, ended)
    assert asked.status_code == 200
    text = text_of(asked)
    for said in (
        "Cancel these 2 jobs?",
        "1 selected job ended already",
        "4 images of 1 job will not be processed.",
        "Results that were accepted are still saved.",
        str(running),
    ):
        assert said in text
    running.refresh_from_db()
    assert running.status == "STARTED", "nothing happens before the yes"
    told(operator, "cancel_jobs", running, ended, confirmed="yes")
    running.refresh_from_db()
    ended.refresh_from_db()
    assert (running.status, ended.status) == ("REVOKED", "SUCCESS")


def test_failed_images_are_done_again_and_no_others(operator: Client, light_world: World) -> None:
    job, going = ended_with_failures(light_world), light_world.started_job()
    said = told(operator, "retry_failed", job, going)
    job.refresh_from_db()
    assert (job.status, job.run) == ("PENDING", 2)
    assert light_world.tally(job) == {"pending": 1, "processed": 1}
    assert any("has not ended" in sentence for sentence in said)
    assert "Retry failed: done for 1 of 2 selected jobs." in said


@pytest.mark.parametrize(
    ("action", "verb"),
    [
        ("run_jobs", "run"),
        ("cancel_jobs", "cancel"),
        ("retry_jobs", "retry"),
        ("retry_failed", "retry failed"),
        ("check_health", "health check"),
        (f"export_jobs_as_{ExportFormat.CSV.value}", f"export as {ExportFormat.CSV.label}"),
    ],
)
def test_every_action_leaves_who_asked_in_both_logs(
    operator: Client, light_world: World, action: str, verb: str
) -> None:
    job = ended_with_failures(light_world)
    user = int(operator.session["_auth_user_id"])
    told(operator, action, job, confirmed="yes")
    lines = list(JobLog.objects.filter(job=job).values_list("message", flat=True))
    assert any(line.startswith(f"User {user} asked in the admin: {verb}") for line in lines), lines
    entry = LogEntry.objects.get()
    assert (entry.user_id, entry.object_id) == (user, str(job.pk))
    assert f"Asked: {verb}" in entry.get_change_message()


def test_what_was_refused_is_remembered_as_refused(operator: Client, light_world: World) -> None:
    job = light_world.job(pipeline=None)
    told(operator, "run_jobs", job)
    assert "refused: This job has no pipeline" in LogEntry.objects.get().get_change_message()


def test_health_checks_run_at_once_and_for_superusers_alone(
    operator: Client, light_world: World, client: Client
) -> None:
    job = light_world.started_job()
    assert any(said.startswith("Health checks ran: ") for said in told(operator, "check_health", job))
    assert HealthReport.objects.filter(check_name="dispatch").exists()


def test_an_action_asked_on_a_jobs_page_comes_back_to_it(operator: Client, light_world: World) -> None:
    job = light_world.job()
    page = reverse("admin:jobs_job_change", args=[job.pk])
    assert ask(operator, "run_jobs", job, back=page).url == page
    asked = ask(operator, "cancel_jobs", job, back=page)
    assert f'name="back" value="{page}"' in asked.content.decode()
    assert ask(operator, "cancel_jobs", job, back="https://evil.example/").context["back"] == ""
    assert "evil" not in ask(operator, "retry_jobs", job, back="https://evil.example/").url


def test_more_jobs_than_anybody_waits_for_are_refused(
    operator: Client, light_world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job_actions, "MOST_AT_ONCE", 1)
    jobs = [light_world.started_job(), light_world.started_job()]
    assert told(operator, "cancel_jobs", *jobs) == ["More than 1 jobs at once: narrow the list first."]
    assert set(Job.objects.values_list("status", flat=True)) == {"STARTED"}


def test_the_list_shows_status_progress_failures_mode_and_age(operator: Client, light_world: World) -> None:
    job = ended_with_failures(light_world)
    page = operator.get(LIST).content.decode()
    assert '<span class="house-label house-good">Success</span>' in page
    assert '<span style="width: 100%">' in page
    assert f'/admin/jobs/deadletter/?job__id__exact={job.pk}"' in page
    assert "Pulled by workers" in page
    assert '<time datetime="' in page
    assert operator.get(LIST, {"q": str(job.pk)}).context["cl"].result_count == 1

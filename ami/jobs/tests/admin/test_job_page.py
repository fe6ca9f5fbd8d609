"""The page of a job in the admin: buttons, whether all servers agree, and the log."""

from __future__ import annotations

import html
import re
from collections.abc import Callable

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from pytest_django.fixtures import Settings

from ami.embedded.valkey import Valkey
from ami.jobs import logs
from ami.jobs.lifecycle.cancel import cancel_job
from ami.jobs.models import Job
from ami.jobs.tests.faults import delete_stream
from ami.jobs.tests.world import World
from ami.users.tests.factories import make_user

pytestmark = pytest.mark.integration


@pytest.fixture
def operator(light_world: World, client: Client) -> Client:
    """A superuser, logged in."""
    client.force_login(make_user(name="Operator", is_superuser=True, is_staff=True))
    return client


def page_of(operator: Client, job: Job) -> str:
    """The page of a job."""
    answer = operator.get(reverse("admin:jobs_job_change", args=[job.pk]))
    assert answer.status_code == 200
    return answer.content.decode()


def text_of(page: str) -> str:
    """What it says, without its markup."""
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", page)).split())


def buttons(page: str) -> list[str]:
    """The actions that it offers."""
    return re.findall(r'name="action" value="(\w+)"', page)


def test_the_page_says_in_words_and_figures_whether_everything_agrees(
    operator: Client, light_world: World
) -> None:
    job = light_world.started_job(images=3)
    text = text_of(page_of(operator, job))
    assert "Does everything agree?" in text
    assert "images in all 3 3 - -" in text
    assert "published and not processed 3 - 3 3" in text
    delete_stream(job)
    text = text_of(page_of(operator, job))
    assert "The stream is gone, and 3 published images still to be processed." in text
    assert "docs/howto/operate/nats-lost.md" in text


def test_the_page_offers_what_makes_sense_now(operator: Client, light_world: World) -> None:
    created, started, ended = light_world.job(), light_world.started_job(), light_world.started_job()
    cancel_job(ended.pk)
    assert buttons(page_of(operator, created))[:2] == ["run_jobs", "cancel_jobs"]
    assert "run_jobs" not in buttons(page_of(operator, started))
    assert "cancel_jobs" not in buttons(page_of(operator, ended))
    assert {"retry_jobs", "check_health", "export_jobs_as_csv"} <= set(buttons(page_of(operator, ended)))


def test_the_page_shows_the_end_of_the_log(operator: Client, light_world: World) -> None:
    job = light_world.job()
    logs.write(job.pk, [logs.Line("test", f"line <{n}>") for n in range(30)])
    page = page_of(operator, job)
    assert "line &lt;29&gt;" in page
    assert "line &lt;9&gt;" not in page
    assert f"/admin/jobs/joblog/?job__id__exact={job.pk}" in page


def test_the_page_costs_the_same_however_large_the_job_is(operator: Client, light_world: World) -> None:
    def cost(job: Job) -> int:
        with CaptureQueriesContext(connection) as captured:
            page_of(operator, job)
        return len(captured)

    small, large = light_world.started_job(images=1), light_world.started_job(images=10)
    light_world.reserve(large, 5)
    logs.write(large.pk, [logs.Line("test", f"line {n}") for n in range(30)])
    cost(small)
    assert cost(small) == cost(large) <= 45


def test_without_redis_the_page_opens_and_says_so(
    operator: Client, light_world: World, own_valkey: Callable[[], Valkey], settings: Settings
) -> None:
    server = own_valkey()
    settings.REDIS_URL = server.url
    job = light_world.started_job(2)
    server.kill()
    assert "Redis does not answer" in text_of(page_of(operator, job))


def test_a_job_that_is_gone_has_no_page(operator: Client, light_world: World) -> None:
    assert operator.get(reverse("admin:jobs_job_change", args=[10_000_000])).status_code == 302

"""Addresses with ids that are none, and with parameters that want to be SQL, endless, or very large."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import django.test.client
import pytest

from ami.tests.hostile.cases import Call, Case, assert_refused, each, untouched
from ami.tests.hostile.victim import Victim
from config.requests import wsgi_application

pytestmark = [pytest.mark.hostile, pytest.mark.integration]

API = "/api/v2/"
HUGE = 2**63
CHOICE = "not one of the available choices"


def get(path: str, method: str = "GET") -> Callable[[Victim], Call]:
    """A request of the manager; `{job}` in the path is the job, `{project}` its project."""
    return lambda it: Call(
        it.lab.client("manager"),
        API + path.format(job=it.job.pk, project=it.world.project.pk),
        method=method,
    )


@each(
    Case("job 2**63", get(f"jobs/{HUGE}/cancel/", "POST"), 404, "Not found."),
    Case("job with a fraction", get("jobs/{job}.0/", "DELETE"), 404, "Not found."),
    Case("job with a NUL", get("jobs/{job}%00/cancel/", "POST"), 404, "Not found."),
    Case("station of 400 digits", get("deployments/" + "9" * 400 + "/", "DELETE"), 404, "Not found."),
    Case("project yes", get("captures/?project_id=true"), 400, "valid integer"),
    Case("station that is SQL", get("jobs/?deployment=1%20OR%201=1"), 400, CHOICE),
    Case("search for a NUL", get("jobs/?search=%00"), 400, "Null characters"),
    Case("a number of 5,000 digits", get("jobs/?cutoff_hours=" + "9" * 5_000), 400, "valid integer"),
)
def test_what_names_nothing_is_refused(victim: Victim, case: Case) -> None:
    assert_refused(victim, case)


@pytest.mark.parametrize(
    "query",
    [
        pytest.param("ordering=name;DROP+TABLE+jobs_job", id="order that is SQL"),
        pytest.param("ordering=-created_by__password", id="order by a secret"),
        pytest.param("limit=" + "9" * 30, id="page of 10**30"),
    ],
)
def test_an_order_or_a_page_that_makes_no_sense_is_as_if_it_was_not_there(victim: Victim, query: str) -> None:
    victim.started_job(1)
    calls = [get(f"jobs/?{text}")(victim) for text in (query, "")]
    with untouched(victim):
        odd, plain = (call.send() for call in calls)
    assert (odd.status_code, len(odd.json()["results"])) == (200, 2)
    assert odd.json()["results"] == plain.json()["results"]


@pytest.mark.parametrize("charset", ["base64", "undefined"])
def test_the_charset_of_a_body_does_not_decide_how_the_address_is_read(
    victim: Victim, monkeypatch: pytest.MonkeyPatch, charset: str
) -> None:
    """Django's test client makes requests of its own; here they are those of our WSGI application."""
    monkeypatch.setattr(django.test.client, "WSGIRequest", wsgi_application().request_class)
    call = get("jobs/?project_id={project}&search=" + "x" * 80)(victim)
    with untouched(victim):
        answer = replace(call, content=f"application/json; charset={charset}").send()
    assert (answer.status_code, answer.json()["count"]) == (200, 0)

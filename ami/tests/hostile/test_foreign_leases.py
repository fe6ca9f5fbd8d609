"""Keeping, giving back and failing tasks that are in somebody else's hands, or in nobody's."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from ami.jobs.api import leases, task_views
from ami.jobs.lifecycle.leases import signer
from ami.jobs.lifecycle.receive import ItemAnswer, receive
from ami.jobs.models import Job
from ami.taskqueue import LeaseSigner
from ami.tests.hostile.cases import Call, Case, assert_refused, each, untouched
from ami.tests.hostile.victim import Victim

pytestmark = [pytest.mark.hostile, pytest.mark.integration]

CALLS = ("extend", "release", "fail")


def call(client: Any, verb: str, token: Any) -> Call:
    """A call about one lease."""
    failure = {"reply_subject": token, "error": "stolen", "retryable": False}
    body = {"failures": [failure]} if verb == "fail" else {"leases": [token]}
    return Call(client, f"/api/v2/tasks/{verb}/", body)


def by(who: str, verb: str) -> Callable[[Victim], Call]:
    """The same by somebody, about the lease of the honest worker."""
    return lambda victim: call(getattr(victim, who), verb, victim.task["reply_subject"])


@pytest.mark.parametrize(
    ("who", "verb"), [*(("colleague", verb) for verb in CALLS), ("stranger", "release"), ("intruder", "fail")]
)
def test_the_lease_of_somebody_else_stays_as_it_is(victim: Victim, who: str, verb: str) -> None:
    assert_rejected(victim, by(who, verb)(victim), "handed out to somebody else")


@pytest.mark.parametrize(("kind", "verb"), [("forged", "extend"), ("forged", "fail"), ("number", "release")])
def test_what_is_no_lease_is_rejected(victim: Victim, kind: str, verb: str) -> None:
    lease = signer().verify(victim.task["reply_subject"])
    token = LeaseSigner(["guess"]).sign(lease) if kind == "forged" else 2**63
    assert_rejected(victim, call(victim.honest, verb, token), "lease")


def assert_rejected(victim: Victim, made: Call, says: str) -> None:
    """The only lease is rejected with a reason; nothing changes, and the honest worker goes on."""
    with untouched(victim):
        answer = made.send()
    assert answer.status_code == 200
    (item,) = answer.json().get("leases") or answer.json()["tasks"]
    assert item["status"] == "rejected"
    assert says in item["reason"]
    assert victim.goes_on()


@each(
    Case("release by nobody", by("nobody", "release"), 401, "credentials were not provided"),
    Case("tasks of a job of another project", lambda it: it.tasks_by(it.stranger), 404, "Not found."),
    Case("tasks by a manager of another project", lambda it: it.tasks_by(it.intruder), 403, "permission"),
)
def test_who_is_no_worker_here_is_turned_away(victim: Victim, case: Case) -> None:
    assert_refused(victim, case)


@pytest.mark.parametrize("moment", ["before its row is read", "after its row was read"])
def test_a_failure_of_a_job_that_is_deleted_meanwhile_is_rejected(
    victim: Victim, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    """Its tokens were good a moment ago; a job that stays, in the same call, has its failure noted."""

    def delete() -> None:
        Job.objects.filter(pk=victim.other_job.pk).delete()

    def known_leases(*args: Any) -> Any:
        judged = leases.known_leases(*args)
        delete()
        return judged

    def receive_later(job: Job, results: Sequence[Any], **named: Any) -> list[ItemAnswer]:
        delete()
        return receive(job, results, **named)

    if moment == "before its row is read":
        monkeypatch.setattr(task_views, "known_leases", known_leases)
    else:
        monkeypatch.setattr(task_views, "receive", receive_later)
    tokens = [victim.other_task["reply_subject"], victim.task["reply_subject"]]
    failures = [{"reply_subject": token, "error": "broken"} for token in tokens]
    answer = Call(victim.honest, "/api/v2/tasks/fail/", {"failures": failures}).send()
    gone, stays = answer.json()["tasks"]
    assert (answer.status_code, gone["status"], stays["status"]) == (200, "rejected", "retry")
    assert "gone" in gone["reason"]

"""Results under a lease that is forged, foreign, replayed or over."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from ami.base import clock
from ami.jobs.lifecycle.cancel import cancel_job
from ami.jobs.lifecycle.leases import signer
from ami.jobs.lifecycle.retry import retry_job
from ami.ml import keys
from ami.ml.models import Pipeline, WorkerKey
from ami.taskqueue import LeaseSigner, Nak, TaskQueueManager
from ami.tests.hostile.cases import Call, Case, assert_refused, each, untouched
from ami.tests.hostile.victim import OPEN_LEASES, Victim

pytestmark = [pytest.mark.hostile, pytest.mark.integration]


def token_of(victim: Victim) -> str:
    """The token of the task that is attacked."""
    return str(victim.task["reply_subject"])


def flipped(token: str, position: int) -> str:
    """The token with one character changed."""
    letter = "A" if token[position] != "A" else "B"
    return token[:position] + letter + token[position + 1 :]


TOKENS: dict[str, Callable[[Victim], Any]] = {
    "signed with another key": lambda it: LeaseSigner(["guess"]).sign(signer().verify(token_of(it))),
    "job number changed": lambda it: flipped(token_of(it), 10),
    "signature changed": lambda it: flipped(token_of(it), len(token_of(it)) - 2),
    "queue subject": lambda it: f"$JS.ACK.job_{it.job.pk}.job-{it.job.pk}-consumer.1.1.1.1.1",
    "huge": lambda it: "A" * 100_000,
    "with a NUL": lambda it: token_of(it) + "\x00",
    "nothing": lambda it: None,
    "of another job": lambda it: it.other_task["reply_subject"],
}


@pytest.mark.parametrize("name", TOKENS)
def test_a_token_that_was_not_handed_out_for_this_opens_nothing(victim: Victim, name: str) -> None:
    call = victim.result(victim.success() | {"reply_subject": TOKENS[name](victim)})
    assert_rejected(
        victim, call, "lease" if name not in ("nothing", "a list") else "reply_subject is missing"
    )


@pytest.mark.parametrize("thief", ["another service", "a user's token"])
def test_the_lease_of_another_worker_opens_nothing(victim: Victim, thief: str) -> None:
    client = victim.lab.client("worker") if thief == "a user's token" else victim.colleague
    assert_rejected(victim, victim.result(victim.success(), client=client), "handed out to somebody else")


def assert_rejected(victim: Victim, call: Call, says: str) -> None:
    """The only item is rejected with a reason; nothing changes, and the honest worker goes on."""
    with untouched(victim):
        answer = call.send()
    assert (answer.status_code, answer.json()["results_queued"]) == (200, 0)
    (item,) = answer.json()["tasks"]
    assert (item["status"], item["task_id"]) == ("rejected", "")
    assert says in item["reason"]
    assert victim.goes_on()


def revoked(victim: Victim) -> Call:
    """A post with a key that was revoked while it held the image."""
    keys.revoke(victim.key.key)
    return victim.result(victim.success())


def expired(victim: Victim) -> Call:
    """A post with a key whose time is over."""
    WorkerKey.objects.filter(pk=victim.key.key.pk).update(expires_at=clock.now() - timedelta(seconds=1))
    keys.forget_all()
    return victim.result(victim.success())


def other_pipeline(victim: Victim) -> Call:
    """A post with a key that is not good for the pipeline of the job."""
    WorkerKey.objects.filter(pk=victim.key.key.pk).update(every_pipeline=False)
    victim.key.key.pipelines.set([Pipeline.objects.create(name="Birds", slug="birds")])
    keys.forget_all()
    return victim.result(victim.success())


def hidden(victim: Victim) -> Call:
    """A post of somebody who cannot see the project."""
    type(victim.world.project).objects.filter(pk=victim.world.project.pk).update(draft=True)
    return victim.result(victim.success(), client=victim.intruder)


def by(who: str) -> Callable[[Victim], Call]:
    """A post of somebody, with the lease of the honest worker."""
    return lambda victim: victim.result(victim.success(), client=getattr(victim, who))


@each(
    Case("revoked key", revoked, 401, "Invalid token."),
    Case("expired key", expired, 401, "Invalid token."),
    Case("key for another pipeline", other_pipeline, 403, "permission"),
    Case("key of another project", by("stranger"), 404, "Not found."),
    Case("forged key", by("forger"), 401, "Invalid token."),
    Case("outsider of a hidden project", hidden, 404, "Not found."),
)
def test_who_may_not_work_for_the_job_posts_nothing(victim: Victim, case: Case) -> None:
    assert_refused(victim, case)


def posted(victim: Victim) -> Call:
    """The same post once more, while its result waits to be saved."""
    call = victim.result(victim.success())
    assert call.send().json()["results_queued"] == 1
    return call


def saved(victim: Victim) -> Call:
    """A second result under a lease that had one, with other boxes in it, after that was saved."""
    posted(victim)
    victim.world.background.run()
    return victim.result(victim.lab.success(victim.task, boxes=5))


def late_error(victim: Victim) -> Call:
    """An error under a lease that is over, about an image that somebody else works on."""
    victim.world.let_leases_run_out(victim.job)
    delivery = signer().verify(token_of(victim)).delivery
    assert delivery is not None
    TaskQueueManager().settle([Nak(delivery)])
    victim.world.obtain(victim.job, 2)
    error = {"error": "broken", "retryable": False}
    return victim.result({"reply_subject": token_of(victim), "result": error})


def earlier_run(victim: Victim) -> Call:
    """An error under a lease from before the job was repeated."""
    cancel_job(victim.job.pk)
    victim.job.refresh_from_db()
    retry_job(victim.job)
    victim.world.background.run()
    return victim.result({"reply_subject": token_of(victim), "result": {"error": "broken"}})


def cancelled(victim: Victim) -> Call:
    """A result for a job that was cancelled."""
    cancel_job(victim.job.pk)
    return victim.result(victim.success())


@pytest.mark.parametrize(
    ("make", "status"),
    [
        pytest.param(posted, "duplicate", id="replayed before it is saved"),
        pytest.param(saved, "duplicate", id="other boxes for a saved image"),
        pytest.param(late_error, "duplicate", id="late error"),
        pytest.param(earlier_run, "duplicate", id="error of an earlier run"),
        pytest.param(cancelled, "cancelled", id="cancelled job"),
    ],
)
def test_what_comes_again_or_too_late_changes_nothing(
    victim: Victim, make: Callable[[Victim], Call], status: str
) -> None:
    call = make(victim)
    with untouched(victim, OPEN_LEASES):
        answer = call.send()
    (item,) = answer.json()["tasks"]
    assert (answer.status_code, item["status"], item["task_id"]) == (200, status, "")
    assert item["reason"]

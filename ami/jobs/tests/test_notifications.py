"""Who is told that a job ended: once per run, signed, after the commit, whatever breaks on the way."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.core import mail
from django.db import transaction
from pytest_django.fixtures import Settings

from ami.base.database import execute
from ami.base.failpoints import arm
from ami.jobs import transitions
from ami.jobs.lifecycle.cancel import cancel_job
from ami.jobs.lifecycle.retry import retry_job
from ami.jobs.models import Job, JobLog, Notification, Webhook
from ami.jobs.notices import note_end
from ami.jobs.notifying.deliver import deliver_due
from ami.jobs.notifying.signing import new_secret
from ami.jobs.tests.hook_server import HookServer, hook_server
from ami.jobs.tests.world import World
from ami.main.storage.secrets import seal
from ami.users.tests.factories import make_user

pytestmark = pytest.mark.integration

SECRET = new_secret()


@pytest.fixture
def hooks(settings: Settings) -> Iterator[HookServer]:
    """A server that takes webhooks; loopback may be called."""
    settings.OUTGOING_ALLOWED_NETWORKS = ["127.0.0.0/8"]
    with hook_server() as server:
        yield server


def subscribe(world: World, url: str, **fields: object) -> Webhook:
    """A webhook of the world's project."""
    made = {"name": "Lab", "url": url, "secret": seal(SECRET), **fields}
    return Webhook.objects.create(project=world.project, **made)


def ended(world: World, images: int = 2) -> Job:
    """A job that workers did."""
    job = world.started_job(images)
    world.work_off(job)
    assert job.status == "SUCCESS"
    return job


def make_due() -> None:
    """Nobody waits for a pause or a claim."""
    execute("UPDATE jobs_notification SET next_try_at = clock_timestamp() - interval '1 second'")


def said(job: Job) -> list[tuple[str, str]]:
    """Level and text of what the job's log says about being told."""
    found = JobLog.objects.filter(job=job, message__contains="told").order_by("pk")
    return list(found.values_list("level", "message"))


def test_a_webhook_is_told_once_signed_and_with_exact_figures(world: World, hooks: HookServer) -> None:
    subscribe(world, hooks.url)
    job = ended(world, 3)
    assert hooks.bodies == []  # nothing is told by who ends the job
    assert deliver_due() == 1
    assert deliver_due() == 0
    (body,) = hooks.bodies
    assert body["type"] == "job.ended"
    assert body["data"]["job"]["id"] == job.pk
    assert body["data"]["job"]["status"] == "SUCCESS"
    assert body["data"]["images"] == {"total": 3, "processed": 3, "failed": 0, "cancelled": 0}
    assert body["data"]["pipeline"] == world.pipeline.slug
    assert hooks.verifies(SECRET)
    assert not hooks.verifies(new_secret())
    assert said(job) == [("INFO", "The webhook Lab (127.0.0.1) was told that the job ended.")]


def test_a_cancelled_job_and_each_further_run_are_told(world: World, hooks: HookServer) -> None:
    subscribe(world, hooks.url)
    job = world.started_job(2)
    assert cancel_job(job.pk)
    assert not cancel_job(job.pk)
    deliver_due()
    job.refresh_from_db()
    assert retry_job(job)
    world.background.run()
    world.work_off(job)
    deliver_due()
    told = [(body["data"]["job"]["run"], body["data"]["job"]["status"]) for body in hooks.bodies]
    assert told == [(1, "REVOKED"), (2, "SUCCESS")]
    assert len(set(hooks.ids)) == 2


def test_an_end_that_is_rolled_back_is_told_to_nobody(world: World, hooks: HookServer) -> None:
    subscribe(world, hooks.url)
    job = world.started_job(1)
    with transaction.atomic():
        assert transitions.cancel(job.pk)
        transaction.set_rollback(True)
    assert Notification.objects.count() == 0


def test_noting_twice_notes_once(world: World, hooks: HookServer) -> None:
    subscribe(world, hooks.url)
    job = ended(world, 1)
    assert note_end(job.pk) == 0
    assert Notification.objects.count() == 1


def test_a_failed_try_comes_again_later_with_the_same_id_and_the_log_says_so(
    world: World, hooks: HookServer
) -> None:
    subscribe(world, hooks.url)
    job = ended(world, 1)
    hooks.statuses = [500]
    deliver_due()
    assert deliver_due() == 0  # there is a pause
    make_due()
    deliver_due()
    assert len(hooks.ids) == 2
    assert len(set(hooks.ids)) == 1
    assert hooks.bodies[0] == hooks.bodies[1]
    assert said(job) == [
        (
            "WARNING",
            "The webhook Lab (127.0.0.1) could not be told that the job ended: "
            "it answered with the status 500. Next try in 30 s.",
        ),
        ("INFO", "The webhook Lab (127.0.0.1) was told that the job ended."),
    ]


def test_it_gives_up_after_the_last_try_and_says_so(
    world: World, hooks: HookServer, settings: Settings
) -> None:
    settings.NOTIFICATION_MAX_TRIES = 2
    subscribe(world, hooks.url)
    job = ended(world, 1)
    hooks.statuses = [503, 503]
    deliver_due()
    make_due()
    deliver_due()
    make_due()
    assert deliver_due() == 0
    assert Notification.objects.get().state == "gave_up"
    assert said(job)[-1] == (
        "ERROR",
        "The webhook Lab (127.0.0.1) could not be told that the job ended: it answered with the status 503. "
        "Given up after 2 tries.",
    )


@pytest.mark.parametrize("step", ["notify.claimed", "notify.told"])
def test_who_dies_on_the_way_is_followed_by_the_next_run(world: World, hooks: HookServer, step: str) -> None:
    subscribe(world, hooks.url)
    ended(world, 1)

    def die() -> None:
        raise KeyboardInterrupt

    with arm(step, die), pytest.raises(KeyboardInterrupt):
        deliver_due()
    assert deliver_due() == 0  # its claim holds
    make_due()
    deliver_due()
    assert Notification.objects.get().state == "delivered"
    assert len(set(hooks.ids)) == 1
    assert len(hooks.ids) == (1 if step == "notify.claimed" else 2)


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1/x",
        "http://169.254.169.254/latest/meta-data/",
        "http://[::1]:8000/",
        "http://10.0.0.5/hook",
        "http://2130706433/",
        "http://localhost/",
        "http://[::ffff:127.0.0.1]/",
    ],
)
def test_an_address_inside_is_never_called_and_given_up_at_once(world: World, url: str) -> None:
    subscribe(world, url)
    job = ended(world, 1)
    deliver_due()
    note = Notification.objects.get()
    assert (note.state, note.tries) == ("gave_up", 1)
    assert "could not be told" in said(job)[-1][1]


def test_a_webhook_that_was_switched_off_hears_nothing(world: World, hooks: HookServer) -> None:
    webhook = subscribe(world, hooks.url)
    subscribe(world, hooks.url, name="Off", active=False)
    ended(world, 1)
    Webhook.objects.filter(pk=webhook.pk).update(active=False)
    deliver_due()
    assert hooks.ids == []
    assert Notification.objects.get().state == "gave_up"


def test_logs_and_rows_hold_neither_address_nor_secret(
    world: World, hooks: HookServer, caplog: pytest.LogCaptureFixture
) -> None:
    subscribe(world, hooks.url)
    job = ended(world, 1)
    hooks.statuses = [500]
    with caplog.at_level("DEBUG"):
        deliver_due()
    written = caplog.text + str(said(job)) + str(Notification.objects.values_list())
    assert "ami-secret-path" not in written
    assert SECRET not in written
    assert SECRET not in Webhook.objects.get().secret


def test_its_creator_gets_an_email_who_asked_for_it(world: World, settings: Settings) -> None:
    settings.EMAIL_ENABLED = True
    settings.EXTERNAL_BASE_URL = "https://ami.example.org"
    ada = make_user("ada@example.org")
    job = world.job(2, created_by=ada, notify_by_email=True, name="Night\nof moths")
    cancel_job(job.pk)
    deliver_due()
    (letter,) = mail.outbox
    assert letter.to == ["ada@example.org"]
    assert letter.subject == f"Job {job.pk} was cancelled: Night of moths"
    assert f"https://ami.example.org/api/v2/jobs/{job.pk}/" in str(letter.body)
    assert said(job) == [("INFO", "Who created the job was told that the job ended.")]


def test_nobody_gets_an_email_who_did_not_ask(world: World, settings: Settings) -> None:
    settings.EMAIL_ENABLED = True
    cancel_job(world.job(1, created_by=make_user()).pk)
    assert deliver_due() == 0
    assert mail.outbox == []

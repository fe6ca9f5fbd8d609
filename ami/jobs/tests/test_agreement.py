"""Whether ledger, pending sets, stream and consumer agree: each test makes one of them wrong."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
from pytest_django.fixtures import Settings

from ami.base.database import execute
from ami.embedded.nats import Nats
from ami.embedded.valkey import Valkey
from ami.jobs.lifecycle.cancel import cancel_job
from ami.jobs.models import Job
from ami.jobs.schedule import sync_schedule
from ami.jobs.tests.faults import bring_back, delete_consumer, delete_stream, flush_redis, lose_messages
from ami.jobs.tests.tracing import online_worker
from ami.jobs.tests.world import World
from ami.jobs.tracing import QUICK, trace
from ami.jobs.tracing.agreement import Agreement, Row
from ami.jobs.tracing.queues import look_at_both

pytestmark = pytest.mark.integration


@pytest.fixture
def patient(light_world: World, settings: Settings) -> World:
    """A world whose leases outlast the test."""
    settings.NATS_TASK_TTR, settings.RETRY_BACKOFF_SECONDS = 100, 60
    return light_world


def seen(job: Job) -> Agreement:
    """What a page shows, after the schedule was written as with every deployment."""
    sync_schedule()
    return trace(job.pk, patience=QUICK).agreement


def row(found: Agreement, what: str) -> Row:
    """One line of the table."""
    (one,) = (row for row in found.rows if row.what == what)
    return one


def said(found: Agreement) -> str:
    """All verdicts."""
    return " ".join(f"{verdict.what} {verdict.what_next}" for verdict in found.verdicts)


def running(world: World, images: int = 4) -> Job:
    """A started job whose worker is online."""
    online_worker(world)
    return world.started_job(images)


def test_of_a_healthy_job_everything_agrees(patient: World) -> None:
    job = running(patient)
    patient.reserve(job, 1)
    found = seen(job)
    assert (found.summary, found.tone, found.verdicts) == ("Everything agrees.", "good", [])
    assert not any(line.differs for line in found.rows)
    assert row(found, "images in all") == Row("images in all", "4", "4")
    assert row(found, "published and not processed") == Row(
        "published and not processed", "4", stream="4", consumer="4"
    )
    assert row(found, "handed out") == Row("handed out", "1", consumer="1")


def test_a_lost_stream_and_a_lost_consumer_are_told_apart(patient: World) -> None:
    job = running(patient)
    delete_consumer(job)
    assert "The stream is there, its consumer is gone" in said(seen(job))
    delete_stream(job)
    found = seen(job)
    assert "The stream is gone, and 4 published images still to be processed." in said(found)
    assert "rebuilt from the ledger" in said(found)
    assert row(found, "published and not processed").stream == "none"
    assert found.verdicts[0].runbook == "docs/howto/operate/nats-lost.md"


def test_lost_messages_are_counted(patient: World) -> None:
    job = running(patient)
    lose_messages(job, keep=1)
    found = seen(job)
    assert "3 messages missing from the stream: it holds 1, and 4 published images" in said(found)
    assert row(found, "published and not processed").differs


def test_lost_pending_sets_are_rebuilt_and_said_to_be(patient: World) -> None:
    job = running(patient)
    flush_redis()
    found = seen(job)
    assert "Redis has no pending sets of this job." in said(found)
    assert row(found, "failed").sets == "none"


def test_pending_sets_that_differ_are_wrong_and_the_ledger_right(patient: World) -> None:
    job = running(patient)
    execute("UPDATE jobs_jobtask SET status = 2 WHERE position = 1")
    found = seen(job)
    assert "The pending sets differ from the ledger, and the ledger counts." in said(found)
    assert row(found, "not processed yet") == Row("not processed yet", "3", "4", differs=True)
    assert found.summary == "Something needs a look."


def test_a_job_for_which_nobody_works_says_so(patient: World) -> None:
    job = patient.started_job(3)
    assert "3 images can be handed out, and nobody asks." in said(seen(job))


def test_what_a_job_leaves_behind_is_seen(patient: World) -> None:
    job = running(patient)
    execute("UPDATE jobs_job SET status = 'REVOKED' WHERE id = %s", [job.pk])
    found = seen(job)
    assert found.verdicts[0].tone == found.tone == "bad"
    assert "ended as REVOKED with 4 images pending" in said(found)
    assert "its stream is still there with 4 messages" in said(found)


def test_a_cancelled_job_leaves_nothing_to_say(patient: World) -> None:
    job = running(patient)
    cancel_job(job.pk)
    assert seen(job).summary == "Everything agrees."


def test_a_silent_nats_costs_a_second_and_a_half_at_most(world: World, lonely_nats: Nats) -> None:
    job = running(world)
    lonely_nats.pause()
    try:
        began = time.monotonic()
        queue, sets = look_at_both(job.pk, job.queue_epoch, (), QUICK, unused=False)
        took = time.monotonic() - began
    finally:
        bring_back(lonely_nats)
    assert queue.away
    assert sets.snapshot is not None
    assert took < 1.5


def test_a_silent_redis_costs_a_second_and_a_half_at_most(
    patient: World, own_valkey: Callable[[], Valkey], settings: Settings
) -> None:
    job = running(patient)
    server = own_valkey()
    settings.REDIS_URL = server.url
    server.pause()
    try:
        began = time.monotonic()
        queue, sets = look_at_both(job.pk, job.queue_epoch, (), QUICK, unused=False)
        took = time.monotonic() - began
    finally:
        server.resume()
    assert sets.away
    assert queue.is_whole
    assert took < 1.5

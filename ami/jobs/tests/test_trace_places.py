"""Tracing puts every image where it is: each test brings images to a place and compares the words."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from pytest_django.fixtures import Settings

from ami.base.database import execute
from ami.base.failpoints import arm
from ami.jobs.health.dispatch import check_dispatch
from ami.jobs.health.lost_images import check_lost_images
from ami.jobs.lifecycle import inbox
from ami.jobs.lifecycle.enqueue import run_job
from ami.jobs.lifecycle.lease_calls import release
from ami.jobs.lifecycle.save import save_inbox_row
from ami.jobs.models import InboxEntry, Job
from ami.jobs.schedule import sync_schedule
from ami.jobs.tests.faults import delete_consumer, delete_stream, lose_messages, publish_copies
from ami.jobs.tests.tracing import NOBODY, at, online_worker, places, seen, the_words, words
from ami.jobs.tests.world import ALICE, World, lease_of
from ami.jobs.tracing import queues, trace
from ami.main.models import SourceImage

pytestmark = pytest.mark.integration

LATE = "a late result is taken as well."
TAKEN = (
    "A saver takes it as soon as Celery hands it out; "
    "what Celery lost, the inbox check enqueues again, after 2 min at the latest."
)
REBUILT = "ueue is rebuilt from the ledger at the next dispatch check, within 15 s."


@pytest.fixture(autouse=True)
def patient(light_world: World, settings: Settings) -> None:
    """The health checks are scheduled, as after every deployment; leases outlast the test."""
    settings.NATS_TASK_TTR, settings.RETRY_BACKOFF_SECONDS = 100, 60
    sync_schedule()


def test_not_published_while_the_window_is_full(light_world: World, settings: Settings) -> None:
    settings.DISPATCH_WINDOW = 6
    job = light_world.started_job(8)
    assert words(job)[0] == (
        2,
        "Not published yet.",
        "Dispatch publishes it when fewer than 3 messages stand in the queue; now there are 6.",
    )
    assert places(job) == {"not published": 2, "waiting in the queue": 6}


def test_not_published_before_its_dispatch(light_world: World, settings: Settings) -> None:
    settings.DISPATCH_WINDOW = 0
    job = light_world.started_job(2)
    settings.DISPATCH_WINDOW = 100
    asks = "The next dispatch publishes it; the next dispatch check, within 15 s, asks for one."
    assert words(job) == [(2, "Not published yet.", asks)]
    execute(
        "UPDATE jobs_job SET driver = 'x', driver_until = now() + interval '40 s' WHERE id = %s", [job.pk]
    )
    job.refresh_from_db()
    now, _, after = seen(job)
    assert after == f"A dispatch is at work until {at(job.driver_until, now)} and publishes it."


def test_waiting_in_the_queue(light_world: World) -> None:
    job = light_world.started_job(3)
    after = "The next pull hands it out as attempt 1 of 3"
    assert words(job) == [(3, "Waiting in the queue.", f"{after}{NOBODY}.")]
    online_worker(light_world)
    assert words(job) == [(3, "Waiting in the queue.", f"{after}.")]
    task, *_ = light_world.reserve(job, 1)
    release([lease_of(task)], ALICE)
    assert words(job) == [(3, "Waiting in the queue.", f"{after}.")], "given back: no attempt was used"


def test_a_capture_that_cannot_be_handed_out_is_told_for_a_single_image(light_world: World) -> None:
    job = light_world.started_job(1)
    image_id = light_world.first_image(job)
    SourceImage.objects.filter(pk=image_id).update(path="")
    assert the_words(job, image_id) == (
        "Waiting in the queue.",
        f"The next pull fails it (no_url: the capture has no file){NOBODY}.",
    )
    execute("DELETE FROM main_sourceimagecollection_images")
    execute("DELETE FROM main_sourceimage WHERE id = %s", [image_id])
    assert "capture_deleted: the capture is gone" in the_words(job, image_id)[1]


def test_leased(light_world: World) -> None:
    job = light_world.started_job(3)
    (task,) = light_world.reserve(job, 1)
    found = trace(job.pk)
    until = at(light_world.row(job, task.image_id).leased_until, found.now)
    leased = found.findings[-1]
    assert (leased.count, leased.images) == (1, [task.image_id])
    assert leased.where == f"Leased by alice's gpu until {until}, attempt 1 of 3."
    assert "(in " in leased.where
    assert leased.next == "If no answer comes by then, the next pull redelivers it as attempt 2 of 3."
    assert places(job) == {"waiting in the queue": 2, "leased": 1}


def test_the_last_lease_is_the_last(light_world: World, settings: Settings) -> None:
    settings.NATS_MAX_DELIVER = 1
    job = light_world.started_job(1)
    light_world.reserve(job)
    where, after = the_words(job)
    assert where.endswith(", attempt 1 of 1.")
    by = "or the next lost images check, within 2 min, fails it"
    exhausted = f"the next pull {by} (delivery_exhausted: 1 of 1 attempts are used)"
    assert after == f"If no answer comes by then, {exhausted}."
    light_world.let_leases_run_out(job)
    where, after = the_words(job)
    assert "The lease of alice's gpu ran out at 2" in where
    assert after == f"{exhausted[0].upper()}{exhausted[1:]}; {LATE}"
    delete_stream(job)
    fails = "the next lost images check, within 2 min, fails it (delivery_exhausted)."
    assert the_words(job)[1] == f"All attempts are used: {fails}"
    check_lost_images()
    assert places(job) == {}


def test_a_lease_that_ran_out(light_world: World) -> None:
    job = light_world.started_job(1)
    (task,) = light_world.reserve(job)
    light_world.let_leases_run_out(job)
    now, where, after = seen(job)
    until = at(light_world.row(job, task.image_id).leased_until, now)
    assert where == f"The lease of alice's gpu ran out at {until}, attempt 1 of 3."
    assert after == f"The next pull redelivers it as attempt 2 of 3{NOBODY}; {LATE}"


def test_a_pause_after_a_failed_attempt(light_world: World) -> None:
    job = light_world.started_job(1)
    (task,) = light_world.reserve(job)
    light_world.post(job, [light_world.error(task)])
    now, where, after = seen(job)
    until = at(light_world.row(job, task.image_id).not_before, now)
    assert where == f"Waits after a failed attempt until {until}, attempt 1 of 3."
    assert after == f"After that the next pull redelivers it as attempt 2 of 3{NOBODY}."
    light_world.let_leases_run_out(job)
    assert the_words(job) == (
        "Waiting in the queue.",
        f"The next pull redelivers it as attempt 2 of 3{NOBODY}.",
    )


def test_accepted(light_world: World) -> None:
    job, entry = light_world.accepted_job(2)
    accepted = f"Accepted in inbox row {entry.pk}"
    assert words(job) == [(2, f"{accepted}, try 1 of saving has not begun.", TAKEN)]
    with arm("save.before_commit"):
        save_inbox_row(entry.pk)
    assert words(job) == [(2, f"{accepted}, try 1 of saving came to nothing.", TAKEN)]
    claimed = inbox.claim(entry.pk)
    assert claimed is not None
    entry.refresh_from_db()
    now, where, after = seen(job)
    assert where == f"{accepted}; saving is under way until {at(entry.claimed_until, now)}, try 2."
    assert after == "It is processed when that commits; if the saver dies, the inbox check asks for another."


def test_accepted_in_several_rows_is_told_once(light_world: World) -> None:
    job = light_world.started_job(3)
    for task in light_world.reserve(job):
        light_world.post(job, [light_world.success(task)])
    first, *_, last = InboxEntry.objects.order_by("pk").values_list("pk", flat=True)
    where = f"Accepted in 3 inbox rows ({first} to {last}), try 1 of saving has not begun."
    assert words(job) == [(3, where, TAKEN)]


def test_an_inbox_row_that_is_gone(light_world: World) -> None:
    job, entry = light_world.accepted_job(1)
    InboxEntry.objects.all().delete()
    assert the_words(job)[0] == f"Accepted in inbox row {entry.pk}, which is not there any more."


@pytest.mark.parametrize("lose", [delete_stream, delete_consumer])
def test_a_queue_that_is_gone(light_world: World, lose: Callable[[Job], None]) -> None:
    job = light_world.started_job(2)
    lose(job)
    assert words(job) == [(2, "Missing from the queue.", f"The q{REBUILT}")]
    check_dispatch()
    light_world.background.run("dispatch")
    assert places(job) == {"waiting in the queue": 2}


def test_images_of_which_the_same_is_said_are_counted_together(light_world: World) -> None:
    job = light_world.started_job(3)
    first, *_ = light_world.reserve(job, 2)
    light_world.post(job, [light_world.error(first)])
    light_world.let_leases_run_out(job)
    delete_stream(job)
    (same, over) = trace(job.pk).findings
    assert (same.count, same.where) == (2, "Missing from the queue.")
    assert sorted(same.images) == [light_world.images(job)[0], light_world.images(job)[2]]
    assert over.where.startswith("Missing from the queue; the lease of")


def test_a_lease_whose_queue_is_gone(light_world: World) -> None:
    job = light_world.started_job(1)
    light_world.reserve(job)
    delete_stream(job)
    missing = "it is missing from the queue: the q"
    assert the_words(job)[1] == f"If no answer comes by then, {missing}{REBUILT}"
    light_world.let_leases_run_out(job)
    where, after = the_words(job)
    assert where.startswith("Missing from the queue; the lease of alice's gpu ran out at 2")
    assert after == f"The q{REBUILT}"


def test_messages_that_are_lost(light_world: World) -> None:
    job = light_world.started_job(3)
    lose_messages(job, keep=1)
    seen_twice = "The queue is rebuilt once the dispatch check has seen this twice, within 30 s."
    found = trace(job.pk).findings
    assert [(finding.place, finding.count) for finding in found] == [
        ("missing from the queue", 2),
        ("waiting in the queue", 1),
    ]
    assert found[0].next == seen_twice
    check_dispatch()
    assert words(job)[0] == (2, "Missing from the queue.", f"The q{REBUILT}")
    check_dispatch()
    light_world.background.run("dispatch")
    assert places(job) == {"waiting in the queue": 3}


def test_a_lost_message_that_the_counts_do_not_show(light_world: World) -> None:
    job = light_world.started_job(2)
    first, second = light_world.images(job)
    lose_messages(job, keep=1)
    publish_copies(job, [second])
    assert the_words(job, first) == (
        "Missing from the queue.",
        "The dispatch check rebuilds the queue once fewer messages stand there than images wait; "
        "now there are 2 for 2.",
    )
    assert the_words(job, second)[0] == "Waiting in the queue."


def test_of_a_long_queue_only_the_counts_tell(light_world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queues, "THOROUGH", replace(queues.THOROUGH, read_at_most=2))
    job = light_world.started_job(4)
    next_pull = f"The next pull hands it out as attempt 1 of 3{NOBODY}"
    where = "Waiting in the queue (the counts say so: 4 messages for 4 images)."
    assert words(job) == [(4, where, f"{next_pull}.")]
    assert the_words(job, light_world.first_image(job))[0] == "Waiting in the queue."
    lose_messages(job, keep=3)
    where = "Waiting in the queue, but 1 of them are missing (the counts say so: 3 messages for 4 images)."
    rebuilt = "the queue is rebuilt once the dispatch check has seen this twice, within 30 s"
    assert words(job) == [(4, where, f"{next_pull}; {rebuilt}.")]


def test_checks_that_nobody_runs_are_named(light_world: World) -> None:
    job = light_world.started_job(1)
    delete_stream(job)
    execute("UPDATE django_celery_beat_periodictask SET enabled = false")
    not_scheduled = "which is not scheduled (run manage.py run_health --check dispatch)"
    assert the_words(job)[1].endswith(f"at the next dispatch check, {not_scheduled}.")


def test_nothing_is_said_of_images_before_they_are_collected(light_world: World) -> None:
    job = light_world.job(2)
    run_job(job)
    assert words(job) == []

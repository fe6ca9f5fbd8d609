"""Saving: an accepted result becomes rows once, whatever stops the saver and however often it is called."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Any, NoReturn

import pytest
from billiard.exceptions import SoftTimeLimitExceeded
from django.db import IntegrityError, InterfaceError, OperationalError, connection
from pytest_django.fixtures import Settings

from ami.base.database import execute, rows
from ami.base.failpoints import arm, hit
from ami.embedded.valkey import Valkey
from ami.jobs import ledger
from ami.jobs.health.inbox import check_inbox
from ami.jobs.ledger import Share
from ami.jobs.lifecycle import inbox
from ami.jobs.lifecycle.advance import refresh_job
from ami.jobs.lifecycle.cleanup import clean_up
from ami.jobs.lifecycle.inbox import ClaimedRow, ClaimLost
from ami.jobs.lifecycle.inbox_body import join_items, pack_item, unpack_body
from ami.jobs.lifecycle.save import save_inbox_row
from ami.jobs.models import InboxEntry
from ami.jobs.progress import Counts
from ami.jobs.states import TaskState
from ami.jobs.tests.faults import (
    killed_at,
    lose_claims,
    overtaken,
    pending_sets,
    run_into_a_timeout,
    together,
)
from ami.jobs.tests.world import BOB, World
from ami.main.models import SourceImage
from ami.ml.models import Classification, Detection
from ami.ml.results import ImageResult, SavedCounts, write_predictions
from ami.taskqueue import Ack, Action

pytestmark = pytest.mark.integration


def predictions() -> list[tuple[object, ...]]:
    """Everything that is stored of detections and classifications."""
    return [
        *rows("SELECT d.* FROM ml_detection d ORDER BY id"),
        *rows("SELECT c.* FROM ml_classification c ORDER BY id"),
    ]


BEFORE_COMMIT = ["save.claimed", "save.after_predictions", "save.before_commit"]
AFTER_COMMIT = [
    "save.after_commit",
    "advance.after_pending",
    "advance.after_projection",
    "acknowledge.before",
    "acknowledge.after",
    "finish.before_update",
    "finish.before_cleanup",
]


@pytest.mark.parametrize("point", BEFORE_COMMIT + AFTER_COMMIT)
def test_a_saver_killed_at_any_step_leaves_work_that_ends_exactly(world: World, point: str) -> None:
    job, entry = world.accepted_job()
    killed_at(point, partial(save_inbox_row, entry.pk))
    assert world.tally(job) == ({"received": 3} if point in BEFORE_COMMIT else {"processed": 3})
    saved = predictions()
    assert bool(saved) is (point in AFTER_COMMIT)
    assert not save_inbox_row(entry.pk), "the claim of the dead saver still holds"
    lose_claims()
    assert check_inbox().fixed == 1
    world.background.run()
    assert not saved or predictions() == saved, "nothing was done again"
    if point == "finish.before_cleanup":
        assert clean_up(job.pk, job.run), "the zombie-stream check does this"
    world.assert_ended_exactly(job, 3)


@pytest.mark.parametrize("point", [*BEFORE_COMMIT, "acknowledge.before", "finish.before_update"])
def test_a_saver_that_raises_anywhere_is_repeated(world: World, point: str) -> None:
    job, entry = world.accepted_job()
    raised: list[str] = []

    def once() -> None:
        if not raised:
            raised.append(point)
            raise RuntimeError(point)

    with arm(point, once):
        try:
            save_inbox_row(entry.pk)
        except RuntimeError:
            lose_claims()
            check_inbox()
        world.background.run()
    assert raised
    world.assert_ended_exactly(job, 3)


def test_acknowledging_comes_after_everything_is_durable(world: World, told: list[Action]) -> None:
    job, entry = world.accepted_job()
    told.clear()
    seen: list[object] = []

    def look() -> None:
        seen.extend([world.tally(job), Detection.objects.count(), pending_sets(job), list(told)])

    with arm("acknowledge.before", look):
        save_inbox_row(entry.pk)
    assert seen == [{"processed": 3}, 6, (set(), set()), []]
    assert [type(action) for action in told] == [Ack] * 3


def test_a_task_delivered_twice_or_an_hour_late_writes_nothing_more(light_world: World) -> None:
    job, entry = light_world.accepted_job()
    save_inbox_row(entry.pk)
    light_world.assert_ended_exactly(job, 3)
    before = (light_world.ledger_bytes(job), predictions())
    assert not save_inbox_row(entry.pk)
    entry.save(force_insert=True)  # as if a backup had brought it back
    assert save_inbox_row(entry.pk)
    assert (light_world.ledger_bytes(job), predictions()) == before
    assert not InboxEntry.objects.exists()


def test_of_two_savers_of_one_row_one_works(world: World) -> None:
    job, entry = world.accepted_job()
    assert sorted(together(*[partial(save_inbox_row, entry.pk)] * 2)) == [False, True]
    world.assert_ended_exactly(job, 3)


def test_a_saver_overtaken_after_its_claim_was_over_doubles_nothing(world: World) -> None:
    job, entry = world.accepted_job()

    def second() -> bool:
        lose_claims()
        return save_inbox_row(entry.pk)

    assert overtaken("save.before_commit", partial(save_inbox_row, entry.pk), second)
    world.assert_ended_exactly(job, 3)


def test_two_jobs_over_the_same_captures_save_at_once_without_doubles(world: World) -> None:
    captures = world.captures(6)
    jobs = [world.started_job(source_image_collection=world.capture_set(captures)) for _ in range(2)]
    for job, order in zip(jobs, (1, -1), strict=True):
        world.post(job, [world.success(task) for task in world.reserve(job)][::order])
    first, second = InboxEntry.objects.order_by("pk")
    overtaken("save.before_commit", partial(save_inbox_row, first.pk), partial(save_inbox_row, second.pk))
    world.background.run()
    assert (Detection.objects.count(), Classification.objects.count()) == (12, 12)
    for job in jobs:
        job.refresh_from_db()
        assert (job.status, world.figures(job)["detections"]) == ("SUCCESS", 12)


def spoil(entry: InboxEntry, image_id: int) -> None:
    """Make one accepted result name an algorithm that does not exist."""
    items = []
    for item in unpack_body(entry.body):
        if item.result.image_id == image_id:
            box = item.result.detections[0]
            wrong = replace(box, classifications=(replace(box.classifications[0], algorithm_id=987_654),))
            item = replace(item, result=replace(item.result, detections=(wrong,)))
        items.append(pack_item(item))
    InboxEntry.objects.filter(pk=entry.pk).update(body=join_items(items))


def test_a_poisoned_item_fails_alone_and_its_neighbours_are_saved(world: World) -> None:
    job, entry = world.accepted_job(4)
    poisoned = world.inbox_images()[0][1]
    spoil(entry, poisoned)
    seen = []
    for _ in range(5):
        world.background.asked.clear()
        save_inbox_row(entry.pk)
        seen.append(world.tally(job))
    assert seen[:2] == [{"received": 4}] * 2, "first all together"
    assert seen[2:4] == [{"processed": 3, "received": 1}] * 2, "from the third try on one by one"
    assert seen[4] == {"processed": 3, "failed": 1}
    row = world.row(job, poisoned)
    assert (row.status, row.error_code) == (TaskState.FAILED, "save_error")
    assert "IntegrityError" in row.error_text
    world.background.run()
    job.refresh_from_db()
    assert (job.status, world.figures(job)["failed"], Detection.objects.count()) == ("SUCCESS", 1, 6)
    assert not InboxEntry.objects.exists()


def end_session() -> None:
    """Have the server end this very session, as a restart of it does."""
    execute("SELECT pg_terminate_backend(pg_backend_pid())")


def lose_connection() -> None:
    """What the driver says about a connection that it found closed."""
    raise InterfaceError("connection already closed")


@pytest.mark.parametrize("outage", [end_session, lose_connection])
def test_an_outage_of_the_database_never_fails_an_item(
    world: World, settings: Settings, outage: Callable[[], None]
) -> None:
    settings.INBOX_MAX_TRIES = 2
    job, entry = world.accepted_job()
    with arm("save.after_predictions", outage):
        for _ in range(8):
            try:
                save_inbox_row(entry.pk)
            except (OperationalError, InterfaceError):
                lose_claims()
    assert world.tally(job) == {"received": 3}
    world.background.asked.clear()
    check_inbox()
    world.background.run()
    world.assert_ended_exactly(job, 3)


def test_a_database_that_is_gone_stops_a_saver_at_once(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    _, entry = world.accepted_job(4)
    InboxEntry.objects.update(tries=2)
    tried: list[int] = []

    with monkeypatch.context() as patch:

        def go_away() -> None:
            tried.append(1)
            patch.setitem(connection.settings_dict, "HOST", "/nowhere")
            end_session()

        with arm("save.after_predictions", go_away), pytest.raises(OperationalError):
            save_inbox_row(entry.pk)
    assert len(tried) == 1, "the other items would have met the same"


@pytest.fixture
def times_out(monkeypatch: pytest.MonkeyPatch) -> set[int]:
    """Images whose predictions take Postgres longer than it allows."""
    chosen: set[int] = set()

    def write_or_time_out(results: Sequence[ImageResult], *more: Any) -> dict[int, SavedCounts]:
        if chosen & {result.image_id for result in results}:
            run_into_a_timeout()
        return write_predictions(results, *more)

    monkeypatch.setattr("ami.jobs.lifecycle.save.write_predictions", write_or_time_out)
    return chosen


def try_to_save(entry: InboxEntry, times: int) -> None:
    """As many tries as that, each after the claim of the one before was over."""
    for _ in range(times):
        with suppress(OperationalError):
            save_inbox_row(entry.pk)
        lose_claims()


def test_an_item_that_times_out_keeps_no_neighbour_waiting_and_is_given_up_in_the_end(
    world: World, times_out: set[int]
) -> None:
    job, entry = world.accepted_job(4)
    slow = world.inbox_images()[0][0]
    times_out.add(slow)
    try_to_save(entry, 3)
    assert world.tally(job) == {"processed": 3, "received": 1}, "from the third try on one by one"
    with pytest.raises(OperationalError):
        save_inbox_row(entry.pk)  # the task fails: people see it
    lose_claims()
    try_to_save(entry, 5)
    assert world.tally(job) == {"processed": 3, "received": 1}, "not yet: the database may be busy"
    try_to_save(entry, 1)
    row = world.row(job, slow)
    assert (row.status, row.error_code) == (TaskState.FAILED, "save_error")
    assert "statement timeout" in row.error_text
    world.background.run()
    job.refresh_from_db()
    assert (job.status, world.tally(job)) == ("SUCCESS", {"processed": 3, "failed": 1})


@pytest.mark.parametrize("images", [1, 3])
def test_a_database_that_times_out_for_everybody_says_nothing_about_an_item(
    world: World, times_out: set[int], images: int
) -> None:
    job, entry = world.accepted_job(images)
    times_out.update(world.inbox_images()[0])
    try_to_save(entry, 15)
    assert world.tally(job) == {"received": images}
    times_out.clear()
    assert save_inbox_row(entry.pk)
    world.background.run()
    world.assert_ended_exactly(job, images)


def test_what_times_out_for_hours_does_not_hold_up_its_job_for_ever(
    world: World, times_out: set[int]
) -> None:
    job, entry = world.accepted_job(1)
    times_out.update(world.inbox_images()[0])
    InboxEntry.objects.update(tries=49)
    try_to_save(entry, 1)
    assert world.tally(job) == {"failed": 1}


@pytest.mark.parametrize("tries", [0, 4, 20])
@pytest.mark.parametrize("step", ["body", "predictions"])
def test_a_time_limit_ends_a_saver_and_fails_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch, tries: int, step: str
) -> None:
    job, entry = world.accepted_job()
    InboxEntry.objects.update(tries=tries)

    def time_is_over(*_: object) -> NoReturn:
        raise SoftTimeLimitExceeded

    with monkeypatch.context() as patch, arm("save.after_predictions", time_is_over):
        if step == "body":
            patch.setattr(ClaimedRow, "items", time_is_over)
        with pytest.raises(SoftTimeLimitExceeded):
            save_inbox_row(entry.pk)
    assert world.tally(job) == {"received": 3}
    lose_claims()
    assert save_inbox_row(entry.pk)
    world.background.run()
    world.assert_ended_exactly(job, 3)


def test_a_saver_whose_claim_went_to_another_leaves_the_row_alone(world: World) -> None:
    job, entry = world.accepted_job()

    def steal() -> None:
        lose_claims()
        assert inbox.claim(entry.pk)

    def fail_late() -> None:
        together(steal)
        raise ValueError("and only now I fail")

    with arm("save.after_predictions", fail_late):
        assert not save_inbox_row(entry.pk)
    assert InboxEntry.objects.get().claimed_until is not None, "the other's claim holds"
    assert world.background.asked == []
    assert world.tally(job) == {"received": 3}


@pytest.mark.parametrize("tries", [0, 2])
def test_a_saver_whose_claim_went_to_another_changes_nothing_any_more(world: World, tries: int) -> None:
    job, entry = world.accepted_job()
    InboxEntry.objects.update(tries=tries)

    def steal() -> None:
        lose_claims()
        assert inbox.claim(entry.pk)

    def lose_it() -> None:
        together(steal)

    with arm("save.after_predictions", lose_it):
        assert not save_inbox_row(entry.pk)
    assert InboxEntry.objects.get().applied_at is None, "the other one says when all is done"
    assert world.tally(job).get("failed") is None


def test_notes_are_taken_of_the_present_claim_alone(world: World) -> None:
    world.accepted_job()
    entry = InboxEntry.objects.get()
    old = inbox.claim(entry.pk)
    lose_claims()
    assert old is not None
    assert inbox.claim(entry.pk) is not None
    before = rows("SELECT * FROM jobs_inboxentry")
    with pytest.raises(ClaimLost):
        inbox.note_in_hand(old, 7)
    with pytest.raises(ClaimLost):
        inbox.mark_applied(old)
    assert not inbox.put_back(old)
    assert rows("SELECT * FROM jobs_inboxentry") == before


def test_a_capture_is_held_while_its_predictions_are_written(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    job, entry = world.accepted_job()
    lost = world.inbox_images()[0][0]
    execute("DELETE FROM main_sourceimagecollection_images WHERE sourceimage_id = %s", [lost])

    def hit_and_write(*arguments: Any) -> dict[int, SavedCounts]:
        hit("test.captures_read")
        return write_predictions(*arguments)

    def delete() -> None:
        with suppress(IntegrityError):  # by then, it has predictions
            execute("DELETE FROM main_sourceimage WHERE id = %s", [lost])

    monkeypatch.setattr("ami.jobs.lifecycle.save.write_predictions", hit_and_write)
    assert overtaken("test.captures_read", partial(save_inbox_row, entry.pk), delete)
    world.background.run()
    world.assert_ended_exactly(job, 3)


def test_an_item_that_kills_its_saver_again_and_again_is_given_up_alone(
    world: World, settings: Settings
) -> None:
    settings.INBOX_MAX_TRIES = 2
    job, entry = world.accepted_job()
    InboxEntry.objects.update(tries=2)
    killer = world.inbox_images()[0][0]
    for _ in range(2):
        assert world.row(job, killer).status == TaskState.RECEIVED
        killed_at("save.after_predictions", partial(save_inbox_row, entry.pk))
        lose_claims()
    save_inbox_row(entry.pk)
    world.background.run()
    assert world.tally(job) == {"processed": 2, "failed": 1}
    row = world.row(job, killer)
    assert row.error_code == "save_error"
    assert "killed the process 2 times" in row.error_text


def test_deaths_before_an_item_is_in_hand_are_nobodys_fault(world: World, settings: Settings) -> None:
    settings.INBOX_MAX_TRIES = 2
    job, entry = world.accepted_job()
    for _ in range(4):
        killed_at("save.claimed", partial(save_inbox_row, entry.pk))
        lose_claims()
    save_inbox_row(entry.pk)
    world.background.run()
    world.assert_ended_exactly(job, 3)


def test_an_unreadable_row_fails_its_images_after_the_last_try(light_world: World) -> None:
    job, entry = light_world.accepted_job()
    InboxEntry.objects.update(body=b"moths were here")
    for _ in range(4):
        assert not save_inbox_row(entry.pk)
        assert light_world.tally(job) == {"received": 3}
        lose_claims()
    save_inbox_row(entry.pk)
    assert light_world.tally(job) == {"failed": 3}
    assert {task.error_code for task in job.tasks.all()} == {"save_error"}
    assert not InboxEntry.objects.exists()
    job.refresh_from_db()
    assert job.status == "FAILURE"


@pytest.mark.parametrize("how", ["model", "sql"])
def test_an_image_whose_capture_is_gone_is_dropped_and_not_the_batch(world: World, how: str) -> None:
    job, entry = world.accepted_job()
    lost = world.inbox_images()[0][0]
    if how == "model":
        SourceImage.objects.filter(pk=lost).delete()
        assert world.row(job, lost).status == TaskState.FAILED, "in the same transaction"
    else:
        execute("DELETE FROM main_sourceimagecollection_images WHERE sourceimage_id = %s", [lost])
        execute("DELETE FROM main_sourceimage WHERE id = %s", [lost])
    save_inbox_row(entry.pk)
    world.background.run()
    assert world.tally(job) == {"processed": 2, "failed": 1}
    assert world.row(job, lost).error_code == "capture_deleted"
    assert Detection.objects.count() == 4
    job.refresh_from_db()
    assert job.status == "SUCCESS"


def test_a_save_that_is_rolled_back_leaves_no_remembered_taxon_behind(
    world: World, settings: Settings
) -> None:
    job, entry = world.accepted_job()
    InboxEntry.objects.update(tries=2)

    def fail() -> None:
        raise OperationalError("deadlock detected")

    with arm("save.after_predictions", fail), pytest.raises(OperationalError):
        save_inbox_row(entry.pk)
    lose_claims()
    save_inbox_row(entry.pk)
    assert InboxEntry.objects.count() == 0, "the next try in the same process works at once"
    world.background.run()
    world.assert_ended_exactly(job, 3)


def test_progress_is_written_at_most_once_an_interval_and_the_last_one_follows(light_world: World) -> None:
    job = light_world.started_job(4)
    tasks = light_world.reserve(job)
    execute("UPDATE jobs_job SET projected_at = NULL")
    for task in tasks[:3]:
        light_world.post(job, [light_world.success(task)])
        light_world.background.run("save")
    assert light_world.figures(job)["processed"] == 1
    assert light_world.background.asked == [("refresh", job.pk)], "one for all"
    light_world.background.run("refresh")
    assert light_world.figures(job)["processed"] == 3


def test_an_older_view_of_the_ledger_never_overwrites_a_newer_one(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    job, entry = world.accepted_job()
    count = ledger.count_by_worker

    def count_and_hit(job_id: int) -> tuple[Counts, list[Share]]:
        counted = count(job_id)
        hit("test.counted")
        return counted

    monkeypatch.setattr(ledger, "count_by_worker", count_and_hit)
    overtaken("test.counted", partial(refresh_job, job.pk), partial(save_inbox_row, entry.pk))
    world.background.run()
    assert world.figures(job)["captures"] == 3


def test_without_redis_a_job_ends_all_the_same(
    light_world: World, own_valkey: Callable[[], Valkey], settings: Settings
) -> None:
    server = own_valkey()
    settings.REDIS_URL = server.url
    job = light_world.started_job(3)
    server.kill()
    light_world.work_off(job, BOB)
    job.refresh_from_db()
    assert (job.status, light_world.tally(job)) == ("SUCCESS", {"processed": 3})
    assert light_world.figures(job)["captures"] == 3

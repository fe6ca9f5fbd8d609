"""Receiving results: each is accepted once and durable before the answer, however often and late it comes."""

from __future__ import annotations

from functools import partial
from types import SimpleNamespace

import pytest
from django.db import transaction
from pytest_django.fixtures import Settings

from ami.base.database import rows
from ami.base.failpoints import FailpointRaised, arm, hit
from ami.embedded.nats import Nats
from ami.jobs.health.inbox import check_inbox
from ami.jobs.lifecycle import advance, aftermath
from ami.jobs.lifecycle.cancel import cancel_job
from ami.jobs.lifecycle.cleanup import clean_up
from ami.jobs.lifecycle.posts import ItemStatus
from ami.jobs.lifecycle.receive import ItemAnswer
from ami.jobs.lifecycle.retry import retry_job
from ami.jobs.models import Attempt, InboxEntry, Job, JobTask
from ami.jobs.states import TaskState
from ami.jobs.tests.faults import (
    bring_back,
    killed_at,
    lose_claims,
    overtaken,
    pending_sets,
    together,
)
from ami.jobs.tests.world import ALICE, BOB, World, delivery_of
from ami.taskqueue import Ack, Action, AsyncJobStateManager, InProgress, Nak
from ami.taskqueue.tests.waiting import stopwatch

pytestmark = pytest.mark.integration


def statuses(answers: list[ItemAnswer]) -> list[str]:
    """What became of each item."""
    return [str(answer.status) for answer in answers]


def kinds(told: list[Action]) -> list[type[Action]]:
    """What the queue was told, in order."""
    return [type(action) for action in told]


def test_a_success_is_durable_before_the_answer(light_world: World, told: list[Action]) -> None:
    job = light_world.started_job(3)
    tasks = light_world.reserve(job)
    answers = light_world.post(job, [light_world.success(task) for task in tasks])
    entry = InboxEntry.objects.get()
    assert statuses(answers) == ["queued"] * 3
    assert [answer.reply_subject for answer in answers] == [task.token for task in tasks]
    assert {answer.task_id for answer in answers} == {str(entry.pk)}
    assert light_world.inbox_images() == [[task.image_id for task in tasks]]
    row = light_world.row(job, tasks[0].image_id)
    assert (row.status, row.accepted_in, row.worker) == (TaskState.RECEIVED, entry.pk, ALICE.name)
    assert (row.leased_until, row.processing_ms) == (None, 250)
    assert kinds(told) == [InProgress] * 3
    assert light_world.background.asked == [("save", entry.pk)]


def test_the_same_post_again_changes_nothing(light_world: World, told: list[Action]) -> None:
    job = light_world.started_job(4)
    done, broken, dead, late = light_world.reserve(job)
    post = [
        light_world.success(done),
        light_world.error(broken),
        light_world.error(dead, retryable=False),
        light_world.success(late),
    ]
    assert statuses(light_world.post(job, post)) == ["queued", "retry", "failed", "queued"]
    before = light_world.ledger_bytes(job)
    told.clear()
    for _ in range(3):
        answers = light_world.post(job, post)
        assert statuses(answers) == ["duplicate"] * 4
        assert {answer.task_id for answer in answers} == {""}
    assert light_world.ledger_bytes(job) == before
    assert (InboxEntry.objects.count(), Attempt.objects.count()) == (1, 2)
    assert kinds(told) == [InProgress, InProgress, Ack] * 3, "nothing for the image that has a pause"
    light_world.background.run()
    after = light_world.ledger_bytes(job)
    assert statuses(light_world.post(job, post)) == ["duplicate"] * 4
    assert light_world.ledger_bytes(job) == after


def test_of_two_items_for_one_image_the_first_counts(light_world: World, told: list[Action]) -> None:
    job = light_world.started_job(2)
    one, two = light_world.reserve(job)
    post = [
        light_world.success(one, boxes=1),
        light_world.error(one),
        light_world.error(two, retryable=False),
        light_world.success(two),
    ]
    assert statuses(light_world.post(job, post)) == ["queued", "duplicate", "failed", "duplicate"]
    assert kinds(told) == [InProgress, Ack], "duplicates inside a post cause no action"
    assert light_world.inbox_images() == [[one.image_id]]


def test_of_two_posts_for_one_image_at_once_one_is_accepted(world: World) -> None:
    job = world.started_job(6)
    tasks = world.reserve(job)
    post = [world.success(task) for task in tasks]
    answers = overtaken(
        "receive.before_commit",
        partial(world.post, job, post[:4]),
        partial(world.post, job, list(reversed(post))),
    )
    assert statuses(answers) == ["queued"] * 4
    assert world.inbox_images() == [
        [task.image_id for task in tasks[:4]],
        [task.image_id for task in reversed(tasks[4:])],
    ]
    world.background.run()
    world.assert_ended_exactly(job, 6)


def test_many_posts_of_the_same_results_at_once_are_accepted_once(world: World) -> None:
    job = world.started_job(8)
    post = [world.success(task) for task in world.reserve(job)]
    rotated = [post[n:] + post[:n] for n in range(4)]
    answers = together(*[partial(world.post, job, items) for items in rotated])
    accepted = [answer for each in answers for answer in each if answer.status == ItemStatus.QUEUED]
    assert len(accepted) == len({answer.reply_subject for answer in accepted}) == 8
    stored = [image for images in world.inbox_images() for image in images]
    assert sorted(stored) == sorted(JobTask.objects.values_list("image_id", flat=True))


def test_a_late_success_is_welcome_while_another_holds_the_image(light_world: World) -> None:
    job = light_world.started_job(1)
    late = light_world.reserve(job)
    light_world.expire(job, late)
    current = light_world.obtain(job, 1, BOB)
    assert statuses(light_world.post(job, [light_world.success(late[0])])) == ["queued"]
    assert statuses(light_world.post(job, [light_world.success(current[0])], BOB)) == ["duplicate"]
    assert statuses(light_world.post(job, [light_world.error(current[0])], BOB)) == ["duplicate"]
    light_world.background.run()
    light_world.assert_ended_exactly(job, 1)


def test_a_late_failure_harms_nobody_while_another_works(light_world: World, told: list[Action]) -> None:
    job = light_world.started_job(1)
    late = light_world.reserve(job)
    light_world.expire(job, late)
    current = light_world.obtain(job, 1, BOB)
    before = light_world.ledger_bytes(job)
    told.clear()
    for item in (light_world.error(late[0]), light_world.error(late[0], retryable=False)):
        assert statuses(light_world.post(job, [item])) == ["duplicate"]
    assert (light_world.ledger_bytes(job), told) == (before, [])
    assert statuses(light_world.post(job, [light_world.success(current[0])], BOB)) == ["queued"]


def test_a_failure_after_its_lease_ran_out_still_counts_while_nobody_else_began(light_world: World) -> None:
    job = light_world.started_job(1)
    tasks = light_world.reserve(job)
    light_world.let_leases_run_out(job)
    assert statuses(light_world.post(job, [light_world.error(tasks[0], "out of memory")])) == ["retry"]
    assert Attempt.objects.get().error_text == "out of memory"


def test_a_retryable_error_gives_the_image_back_after_a_pause(light_world: World, told: list[Action]) -> None:
    job = light_world.started_job(1)
    tasks = light_world.reserve(job)
    assert statuses(light_world.post(job, [light_world.error(tasks[0], "CUDA\x07 oops")])) == ["retry"]
    row = JobTask.objects.get()
    assert (row.status, row.leased_until, row.not_before is not None) == (TaskState.PENDING, None, True)
    noted = Attempt.objects.get()
    assert (noted.attempt, noted.worker, noted.error_code) == (1, ALICE.name, "worker_error")
    assert noted.error_text == "CUDA oops"
    assert told == [Nak(delivery_of(tasks[0]), 0.2)]
    again = light_world.obtain(job, 1, BOB)
    assert again[0].attempt == 2
    light_world.post(job, [light_world.success(again[0])], BOB)
    light_world.background.run()
    light_world.assert_ended_exactly(job, 1)


def test_the_pause_doubles_and_the_last_attempt_fails_the_image(
    light_world: World, told: list[Action], settings: Settings
) -> None:
    settings.RETRY_BACKOFF_SECONDS = 0.05
    job = light_world.started_job(1)
    answers = []
    for number in range(3):
        task = light_world.obtain(job, 1)[0]
        told.clear()
        answers += statuses(light_world.post(job, [light_world.error(task, f"failure {number}")]))
        if number < 2:
            assert told == [Nak(delivery_of(task), 0.05 * 2**number)]
    assert (answers, kinds(told)) == (["retry", "retry", "failed"], [Ack])
    row = JobTask.objects.get()
    assert (row.status, row.error_code, row.error_text) == (TaskState.FAILED, "worker_error", "failure 2")
    assert list(Attempt.objects.order_by("attempt").values_list("error_text", flat=True)) == [
        "failure 0",
        "failure 1",
        "failure 2",
    ]
    assert light_world.background.asked == [("refresh", job.pk)]
    light_world.background.run()
    job.refresh_from_db()
    assert (job.status, light_world.standing(job)) == ("FAILURE", None)


def test_the_pause_has_a_limit(light_world: World, told: list[Action], settings: Settings) -> None:
    settings.NATS_MAX_DELIVER = 2_000
    job = light_world.started_job(1)
    JobTask.objects.update(attempt=1_500)
    task = light_world.reserve(job)[0]
    assert statuses(light_world.post(job, [light_world.error(task)])) == ["retry"]
    assert told == [Nak(delivery_of(task), 900)]


def test_a_broker_that_is_slow_holds_up_no_answer(
    light_world: World, monkeypatch: pytest.MonkeyPatch, settings: Settings
) -> None:
    settings.INBOX_ROW_MAX_BYTES = 100
    job = light_world.started_job(20)
    tasks = light_world.reserve(job)
    now = [0.0]
    save = light_world.background.save

    def save_slowly(inbox_ids: list[int]) -> bool:
        now[0] += 0.3 * len(inbox_ids)
        return save(inbox_ids)

    monkeypatch.setattr(aftermath, "time", SimpleNamespace(monotonic=lambda: now[0]))
    monkeypatch.setattr(light_world.background, "save", save_slowly)
    light_world.post(job, [light_world.success(task) for task in tasks])
    assert len(light_world.background.asked) == 2
    assert now[0] < 1
    lose_claims()
    assert check_inbox().fixed == 20, "the inbox check enqueues the others"


def test_an_answer_waits_for_nobody_who_holds_the_job(world: World) -> None:
    job = world.started_job(2)
    task, other = world.reserve(job)
    order: list[str] = []

    def hold() -> None:
        with transaction.atomic():
            rows("SELECT 1 FROM jobs_job WHERE id = %s FOR NO KEY UPDATE", [job.pk])
            hit("test.held")
            order.append("let go")

    def post() -> None:
        items = [world.error(task, retryable=False), world.success(other)]
        order.extend(statuses(world.post(Job.objects.get(pk=job.pk), items)))

    overtaken("test.held", hold, post)
    assert order == ["failed", "queued", "let go"]
    assert ("refresh", job.pk) in world.background.asked


def test_a_refresh_that_cannot_be_asked_for_spoils_no_answer(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = world.started_job(2)
    task = world.reserve(job, 1)[0]
    monkeypatch.setattr(advance, "_NOTE_REQUEST", "SELECT 1 / 0 WHERE %s <> %s")
    assert statuses(world.post(job, [world.error(task, retryable=False)])) == ["failed"]


def test_what_fails_without_an_inbox_row_leaves_the_pending_sets(light_world: World) -> None:
    job = light_world.started_job(3)
    task = light_world.reserve(job, 1)[0]
    light_world.post(job, [light_world.error(task, retryable=False)])
    light_world.background.run()
    for images in pending_sets(job):
        assert len(images) == 2
        assert task.image_id not in images
    known = AsyncJobStateManager(job.pk).snapshot()
    assert known is not None
    assert (known.total, known.failed) == (3, 1)


def test_many_failures_ask_for_one_refresh_an_interval(light_world: World) -> None:
    job = light_world.started_job(4)
    asked = []
    for task in light_world.reserve(job)[:3]:
        light_world.post(job, [light_world.error(task, retryable=False)])
        asked.append(light_world.background.asked[:])
        light_world.background.asked.clear()
    assert asked == [[("refresh", job.pk)], [], []]


@pytest.mark.parametrize(
    ("text", "code"),
    [("boom", "worker_error"), ("Failed to load image: truncated", "unreadable_image"), ("", "worker_error")],
)
def test_a_permanent_error_fails_the_image_at_once(light_world: World, text: str, code: str) -> None:
    job = light_world.started_job(1)
    tasks = light_world.reserve(job)
    assert statuses(light_world.post(job, [light_world.error(tasks[0], text, retryable=False)])) == ["failed"]
    row = JobTask.objects.get()
    assert (row.status, row.error_code, row.worker) == (TaskState.FAILED, code, ALICE.name)
    assert row.error_text == (text or "The worker gave no reason.")


def test_an_error_without_an_image_is_about_the_image_of_its_token(light_world: World) -> None:
    job = light_world.started_job(2)
    tasks = light_world.reserve(job)
    item = {"reply_subject": tasks[1].token, "result": {"error": "boom", "retryable": False}}
    assert statuses(light_world.post(job, [item])) == ["failed"]
    assert light_world.row(job, tasks[1].image_id).status == TaskState.FAILED
    assert light_world.row(job, tasks[0].image_id).status == TaskState.PENDING


def test_results_of_a_cancelled_job_are_told_so(light_world: World, told: list[Action]) -> None:
    job = light_world.started_job(3)
    tasks = light_world.reserve(job)
    light_world.post(job, [light_world.success(tasks[0])])
    cancel_job(job.pk)
    told.clear()
    post = [light_world.success(tasks[0]), light_world.success(tasks[1]), light_world.error(tasks[2])]
    assert statuses(light_world.post(job, post)) == ["duplicate", "cancelled", "cancelled"]
    assert light_world.tally(job) == {"received": 1, "cancelled": 2}
    assert kinds(told) == [InProgress, Ack, Ack]


def test_a_token_of_an_earlier_run_changes_nothing(light_world: World) -> None:
    job = light_world.started_job(2)
    old = light_world.reserve(job)
    cancel_job(job.pk)
    assert retry_job(job)
    light_world.dispatch(job)
    before = light_world.ledger_bytes(job)
    post = [light_world.success(old[0]), light_world.error(old[1], retryable=False)]
    assert statuses(light_world.post(job, post)) == ["duplicate"] * 2
    assert light_world.ledger_bytes(job) == before
    light_world.work_off(job)
    light_world.assert_ended_exactly(job, 2)


def test_a_large_post_becomes_several_inbox_rows(light_world: World, settings: Settings) -> None:
    job = light_world.started_job(5)
    tasks = light_world.reserve(job)
    one = len(light_world.packed(tasks[0]))
    settings.INBOX_ROW_MAX_BYTES = 2 * one + 50
    answers = light_world.post(job, [light_world.success(task) for task in tasks])
    images = [task.image_id for task in tasks]
    assert light_world.inbox_images() == [images[:2], images[2:4], images[4:]]
    entries = [str(entry.pk) for entry in InboxEntry.objects.order_by("pk")]
    assert [answer.task_id for answer in answers] == [entries[0]] * 2 + [entries[1]] * 2 + [entries[2]]
    assert len(light_world.background.asked) == 3, "one task for each row"
    light_world.background.run()
    light_world.assert_ended_exactly(job, 5)


def test_the_inbox_holds_exactly_what_was_accepted(light_world: World) -> None:
    job = light_world.started_job(4)
    first, again, broken, fresh = light_world.reserve(job)
    light_world.post(job, [light_world.success(again)])
    post = [
        light_world.success(first),
        light_world.success(again),
        light_world.error(broken),
        {"reply_subject": "forged", "result": light_world.result_body(1, 1)},
        light_world.success(fresh),
    ]
    answers = light_world.post(job, post)
    assert statuses(answers) == ["queued", "duplicate", "retry", "rejected", "queued"]
    assert light_world.inbox_images()[1:] == [[first.image_id, fresh.image_id]]
    assert light_world.post(job, []) == []
    assert InboxEntry.objects.count() == 2, "nothing accepted, nothing written"


def test_a_post_for_a_job_that_is_gone_writes_nothing(light_world: World, told: list[Action]) -> None:
    job = light_world.started_job(1)
    tasks = light_world.reserve(job)
    Job.objects.filter(pk=job.pk).delete()
    with pytest.raises(Job.DoesNotExist):
        light_world.post(job, [light_world.success(tasks[0])])
    assert not InboxEntry.objects.exists()
    assert (told, light_world.background.asked) == ([], [])


def test_a_post_that_is_not_committed_leaves_nothing(light_world: World, told: list[Action]) -> None:
    job = light_world.started_job(2)
    tasks = light_world.reserve(job)
    before = light_world.ledger_bytes(job)
    post = [light_world.success(tasks[0]), light_world.error(tasks[1])]
    with arm("receive.before_commit"), pytest.raises(FailpointRaised):
        light_world.post(job, post)
    assert light_world.ledger_bytes(job) == before
    assert (InboxEntry.objects.count(), Attempt.objects.count(), told) == (0, 0, [])
    assert statuses(light_world.post(job, post)) == ["queued", "retry"]


@pytest.mark.parametrize("point", ["receive.after_commit", "receive.after_enqueue"])
def test_an_accepted_result_survives_the_death_of_who_took_it(world: World, point: str) -> None:
    job = world.started_job(2)
    tasks = world.reserve(job)
    post = [world.success(task) for task in tasks]
    killed_at(point, partial(world.post, job, post))
    assert world.background.asked == [], "what the dead process asked for died with it"
    assert statuses(world.post(job, post)) == ["duplicate"] * 2
    lose_claims()
    assert check_inbox().fixed == 1
    world.background.run()
    world.assert_ended_exactly(job, 2)


def test_without_a_queue_results_are_accepted_at_once_and_the_job_ends_later(
    light_world: World, lonely_nats: Nats
) -> None:
    job = light_world.started_job(4)
    tasks = light_world.reserve(job)
    lonely_nats.pause()
    answers: list[ItemAnswer] = []

    def post(*chosen: int) -> None:
        answers.extend(light_world.post(job, [light_world.success(tasks[n]) for n in chosen]))

    assert stopwatch(partial(post, 0, 1)) < 0.9
    assert stopwatch(partial(post, 2, 3)) < 0.2, "the breaker is open"
    assert statuses(answers) == ["queued"] * 4
    light_world.background.run()
    job.refresh_from_db()
    assert (job.status, light_world.tally(job)) == ("SUCCESS", {"processed": 4})
    bring_back(lonely_nats)
    assert clean_up(job.pk, job.run), "what was left in the queue can be deleted now"
    light_world.assert_ended_exactly(job, 4)


def test_without_a_broker_results_are_accepted_and_the_inbox_check_has_them_saved(light_world: World) -> None:
    job = light_world.started_job(2)
    tasks = light_world.reserve(job)
    light_world.background.down = True
    assert statuses(light_world.post(job, [light_world.success(task) for task in tasks])) == ["queued"] * 2
    assert light_world.post(job, [light_world.error(tasks[0])])[0].status == ItemStatus.DUPLICATE
    light_world.background.down = False
    lose_claims()
    assert check_inbox().fixed == 1
    light_world.background.run()
    light_world.assert_ended_exactly(job, 2)

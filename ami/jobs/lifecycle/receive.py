"""receive: judge every item of a post, and make the accepted ones durable before answering.

Needs Postgres only. One transaction marks the ledger rows and writes the inbox; NATS and Celery hear of it
afterwards, as best they can. Posting the same result twice, late, or out of order leaves the same rows as
posting it once.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from django.conf import settings
from django.db import transaction

from ami.base.database import rows
from ami.base.failpoints import hit
from ami.jobs import ledger
from ami.jobs.ledger import Failure, LockedTask
from ami.jobs.lifecycle import pace, quotas
from ami.jobs.lifecycle.advance import request_refresh
from ami.jobs.lifecycle.aftermath import Aftermath
from ami.jobs.lifecycle.holders import Worker
from ami.jobs.lifecycle.inbox_body import join_items
from ami.jobs.lifecycle.posts import Item, ItemStatus, Problem, Refused, Success, read_post
from ami.jobs.models import Job
from ami.jobs.states import TaskState

BACKOFF_MAX_SECONDS = 900.0
DOUBLINGS_MAX = 30
"""Enough to reach the limit from any pause, and few enough to be a number of seconds."""


@dataclass(frozen=True, slots=True)
class ItemAnswer:
    """What became of one item. `task_id` is the inbox row that holds it, or empty."""

    reply_subject: str
    status: ItemStatus
    task_id: str = ""
    reason: str = ""


def receive(job: Job, results: Iterable[object], *, worker: Worker) -> list[ItemAnswer]:
    """Take the results of a post; one answer per item, in order.

    `results` are the raw items of the post, which may be parsed on the way. Raises Job.DoesNotExist when the
    job is gone (nothing is written) and DatabaseError when the commit failed (the worker may post again).
    Safe to run twice.
    """
    return take_in(job, read_post(job, results, worker), worker=worker)


def take_in(job: Job, items: Sequence[Item], *, worker: Worker) -> list[ItemAnswer]:
    """The same for items that were read already: what a service answered to us is received like a post."""
    aftermath = Aftermath(job.pk)
    with transaction.atomic():
        if not ledger.keep_job(job.pk):
            raise Job.DoesNotExist
        leased = [item for item in items if not isinstance(item, Refused)]
        tasks = ledger.lock(job.pk, [item.lease.image_id for item in leased]) if leased else {}
        answers = _accept(
            job.pk, [item for item in leased if isinstance(item, Success)], tasks, worker, aftermath
        )
        answers |= _note_problems(
            [item for item in leased if isinstance(item, Problem)], tasks, worker, aftermath
        )
        hit("receive.before_commit")
    hit("receive.after_commit")
    aftermath.carry_out()
    quotas.note_returned(worker, [item.lease for item in leased if item.lease.delivery])
    settled = [_answer(item, answers) for item in items]
    pace.note_results(job, [answer.status for answer in settled])
    if aftermath.failed:
        request_refresh(job.pk)
    return settled


def _answer(item: Item, answers: dict[int, ItemAnswer]) -> ItemAnswer:
    if isinstance(item, Refused):
        return ItemAnswer(item.reply_subject, item.status, reason=item.reason)
    return answers[item.lease.image_id]


def _accept(
    job_id: int, items: Sequence[Success], tasks: dict[int, LockedTask], worker: Worker, aftermath: Aftermath
) -> dict[int, ItemAnswer]:
    """pending → received for first results; everything else is a duplicate and changes nothing."""
    answers: dict[int, ItemAnswer] = {}
    accepted: list[tuple[LockedTask, Success]] = []
    for item in items:
        task = tasks.get(item.lease.image_id)
        if task is not None and task.status == TaskState.PENDING and task.run == item.lease.run:
            accepted.append((task, item))
        else:
            answers[item.lease.image_id] = _already_settled(item, task, aftermath)
    inbox_ids = _write_inbox(job_id, [item for _, item in accepted])
    ledger.accept(
        [task.id for task, _ in accepted],
        inbox_ids,
        worker=worker.name,
        instance_id=worker.instance_id,
        ms=[item.processing_ms for _, item in accepted],
    )
    for (_, item), inbox_id in zip(accepted, inbox_ids, strict=True):
        answers[item.lease.image_id] = ItemAnswer(item.reply_subject, ItemStatus.QUEUED, str(inbox_id))
        aftermath.accepted(item.lease.delivery, inbox_id)
    return answers


def _write_inbox(job_id: int, items: Sequence[Success]) -> list[int]:
    """Store the accepted items in as few rows as their size allows. Returns the row's id for each item."""
    parts: list[list[bytes]] = []
    part_of: list[int] = []
    size = 0
    for item in items:
        if not parts or size + len(item.packed) > settings.INBOX_ROW_MAX_BYTES:
            parts.append([])
            size = 0
        parts[-1].append(item.packed)
        part_of.append(len(parts) - 1)
        size += len(item.packed)
    ids = [
        rows(
            """INSERT INTO jobs_inboxentry (job_id, body, tries, created_at)
            VALUES (%s, %s, 0, clock_timestamp()) RETURNING id""",
            [job_id, join_items(part)],
        )[0][0]
        for part in parts
    ]
    return [ids[number] for number in part_of]


def _note_problems(
    items: Sequence[Problem], tasks: dict[int, LockedTask], worker: Worker, aftermath: Aftermath
) -> dict[int, ItemAnswer]:
    """Errors of the lease in force: another attempt while there is one, else the image fails.

    A late failure finds another attempt, or an outcome, in the row, and harms nobody.
    """
    answers: dict[int, ItemAnswer] = {}
    retries: list[tuple[Failure, float]] = []
    failures: list[Failure] = []
    for item in items:
        task = tasks.get(item.lease.image_id)
        if task is None or not _in_force(item, task):
            answers[item.lease.image_id] = _already_settled(item, task, aftermath)
            continue
        failure = Failure(task, item.code, item.text, worker.name, worker.instance_id)
        if item.retryable and task.used_attempts < settings.NATS_MAX_DELIVER:
            wait = _pause(task.used_attempts)
            retries.append((failure, wait))
            aftermath.retried(item.lease.delivery, wait)
            status = ItemStatus.RETRY
        else:
            failures.append(failure)
            aftermath.settled(item.lease.delivery)
            status = ItemStatus.FAILED
        answers[item.lease.image_id] = ItemAnswer(item.reply_subject, status, reason=item.text)
    ledger.give_back([(failure.task.id, wait) for failure, wait in retries])
    ledger.note_attempts(failure for failure, _ in retries)
    ledger.fail(failures)
    aftermath.failed = bool(failures)
    return answers


def _pause(attempts: int) -> float:
    """Seconds until an image is free again after so many attempts; each doubles them, up to a limit."""
    doubled = 2.0 ** min(max(0, attempts - 1), DOUBLINGS_MAX)
    return min(settings.RETRY_BACKOFF_SECONDS * doubled, BACKOFF_MAX_SECONDS)


def _in_force(item: Problem, task: LockedTask) -> bool:
    return (
        task.status == TaskState.PENDING
        and task.run == item.lease.run
        and task.attempt == item.lease.attempt
        and task.leased
    )


def _already_settled(item: Success | Problem, task: LockedTask | None, aftermath: Aftermath) -> ItemAnswer:
    """A repetition, or something that came too late: say so, and let NATS forget what the ledger settled."""
    delivery = item.lease.delivery
    if task is None or task.run != item.lease.run or task.is_final:
        aftermath.settled(delivery)
    elif task.status == TaskState.RECEIVED:
        aftermath.in_progress(delivery)
    if task is not None and task.status == TaskState.CANCELLED:
        return ItemAnswer(item.reply_subject, ItemStatus.CANCELLED, reason="The job was cancelled.")
    return ItemAnswer(
        item.reply_subject,
        ItemStatus.DUPLICATE,
        reason="This image already has an outcome, or another attempt at it is under way.",
    )

"""save: write the predictions of one inbox row, then tell everybody; resumes wherever it died.

The predictions and the ledger change in one transaction. Whatever kills a save before its commit leaves the
row as it was; whatever kills it after leaves `applied_at`, and the next try goes on from there. An item is
given up only for an error of its own, never because a count is high. A transient error of the database is an
item's own only when it comes again and again while the neighbours are saved.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import structlog
from django.conf import settings
from django.db import InterfaceError, OperationalError, connection, transaction
from structlog.contextvars import bound_contextvars

from ami.base.database import rows
from ami.base.failpoints import hit
from ami.jobs import ledger, logs
from ami.jobs.dispatcher import dispatcher
from ami.jobs.interruptions import interruptions
from ami.jobs.ledger import Failure, LockedTask
from ami.jobs.lifecycle import inbox
from ami.jobs.lifecycle.acknowledge import acknowledge
from ami.jobs.lifecycle.advance import Settled, advance, ask_for_refill, refresh_job
from ami.jobs.lifecycle.inbox import ClaimedRow, ClaimLost
from ami.jobs.lifecycle.inbox_body import AcceptedItem
from ami.jobs.states import ErrorCode, TaskState
from ami.ml.results import forget_taxa, resolve_taxa, write_predictions

logger = structlog.get_logger(__name__)

ONE_BY_ONE_FROM = 3
"""The try from which items are saved one by one, so that a bad one cannot hold up the others."""

TRANSIENT = (OperationalError, InterfaceError)
"""The database was away, busy or deadlocked: says nothing about the item, if it is not always this one."""

TRANSIENT_PATIENCE = 2
"""Times `INBOX_MAX_TRIES`: then a transient error that others in the row did not meet ends its item."""

LONE_PATIENCE = 10
"""The same where no other item shows that the database is well; with the times of claims, about an hour."""


def save_inbox_row(inbox_id: int) -> bool:
    """Save one inbox row and settle what it settles; True when the row is done and deleted.

    Safe to run any number of times and side by side: the claim lets one through, and what is saved already is
    not saved again. Raises the database's error when the database is away; the inbox check tries again.
    """
    row = inbox.claim(inbox_id)
    if row is None:
        return False
    with bound_contextvars(job_id=row.job_id):
        return _save_claimed(row)


def _save_claimed(row: ClaimedRow) -> bool:
    hit("save.claimed")
    try:
        items = _readable_items(row)
        if items is None:
            return False
        if not row.applied and not _apply(row, items):
            if inbox.put_back(row):
                dispatcher().save([row.id])
            return False
    except ClaimLost:
        logger.info("save.claim_lost", job_id=row.job_id, inbox_id=row.id, tries=row.tries)
        return False
    hit("save.after_commit")
    _tell(row, items)
    inbox.close(row)
    return True


def _apply(row: ClaimedRow, items: Sequence[AcceptedItem]) -> bool:
    """Give every item its outcome; False when some have none yet and another try is needed."""
    if row.tries >= ONE_BY_ONE_FROM:
        return _save_one_by_one(row, items)
    try:
        _save(row, items, whole=True)
    except ClaimLost:
        raise
    except interruptions():
        raise
    except Exception as error:  # noqa: BLE001 - a poisoned result may raise anything; the next try isolates it
        logger.warning(
            "save.failed", job_id=row.job_id, inbox_id=row.id, tries=row.tries, error=repr(error)[:500]
        )
        forget_taxa()
        return False
    return True


def _save(row: ClaimedRow, items: Sequence[AcceptedItem], *, whole: bool) -> None:
    """Write predictions and ledger for the items that are still received; `whole`: they are the whole row."""
    taxa = resolve_taxa([item.result for item in items])
    with transaction.atomic():
        ledger.keep_job(row.job_id)
        _write(row, items, taxa)
        if whole:
            inbox.mark_applied(row)
        hit("save.before_commit")


def _write(row: ClaimedRow, items: Sequence[AcceptedItem], taxa: Mapping[str, int]) -> None:
    tasks = _mine(row, items)
    results = [item.result for item in items if item.result.image_id in tasks]
    captured_at: dict[int, Any] = dict(
        rows(
            "SELECT id, timestamp FROM main_sourceimage WHERE id = ANY(%s) ORDER BY id FOR KEY SHARE",
            [list(tasks)],
        )
    )
    present = [result for result in results if result.image_id in captured_at]
    counts = write_predictions(present, taxa, captured_at, row.job_id)
    hit("save.after_predictions")
    ledger.mark_processed(
        [tasks[image].id for image in counts],
        [saved.detections for saved in counts.values()],
        [saved.classifications for saved in counts.values()],
    )
    ledger.fail(
        [
            Failure(task, ErrorCode.CAPTURE_DELETED, "The capture was deleted before its result was saved.")
            for image, task in tasks.items()
            if image not in captured_at
        ]
    )


def _mine(row: ClaimedRow, items: Sequence[AcceptedItem]) -> dict[int, LockedTask]:
    """Lock the ledger rows that wait for this inbox row; the others have their outcome already."""
    locked = ledger.lock(row.job_id, [item.result.image_id for item in items])
    return {
        image: task
        for image, task in locked.items()
        if task.status == TaskState.RECEIVED and task.accepted_in == row.id
    }


def _save_one_by_one(row: ClaimedRow, items: Sequence[AcceptedItem]) -> bool:
    """Save each item in its own transaction; one that fails, for whatever reason, keeps no other waiting.

    Raises a transient error at the end, and at once when the connection is gone. An interruption leaves its
    item noted as in hand, as a kill does: the next try knows which one it was.
    """
    outcomes = [(item, _save_alone(row, item)) for item in items]
    inbox.note_in_hand(row, None)
    others_are_well = any(not isinstance(error, TRANSIENT) for _, error in outcomes)
    left: list[Exception] = []
    for item, error in outcomes:
        if error is None:
            continue
        if row.tries >= _patience(error, others_are_well):
            _give_up(row, item, f"{type(error).__name__}: {error}")
        else:
            left.append(error)
    for error in left:
        if isinstance(error, TRANSIENT):
            raise error
    if not left:
        inbox.mark_applied(row)
    return not left


def _patience(error: Exception, others_are_well: bool) -> int:
    """The tries after which this error of an item ends it."""
    if not isinstance(error, TRANSIENT):
        return int(settings.INBOX_MAX_TRIES)
    return int(settings.INBOX_MAX_TRIES * (TRANSIENT_PATIENCE if others_are_well else LONE_PATIENCE))


def _save_alone(row: ClaimedRow, item: AcceptedItem) -> Exception | None:
    """Save one item; its own error if that failed."""
    image = item.result.image_id
    if row.kills.get(image, 0) >= settings.INBOX_MAX_TRIES:
        _give_up(row, item, f"Saving it killed the process {row.kills[image]} times.")
        return None
    inbox.note_in_hand(row, image)
    try:
        _save(row, [item], whole=False)
    except ClaimLost:
        raise
    except interruptions():
        raise
    except TRANSIENT as error:
        forget_taxa()
        if not connection.is_usable():
            inbox.note_in_hand(row, None)  # nobody died; if this is lost too, it counts as one death
            raise
        return error
    except Exception as error:  # noqa: BLE001 - a poisoned result may raise anything
        forget_taxa()
        return error
    return None


def _give_up(row: ClaimedRow, item: AcceptedItem, reason: str) -> None:
    """received → failed `save_error` for one image, with the reason."""
    with transaction.atomic():
        ledger.keep_job(row.job_id)
        failures = [
            Failure(task, ErrorCode.SAVE_ERROR, f"The result could not be saved. {reason}")
            for task in _mine(row, [item]).values()
        ]
        ledger.fail(failures)
    if not failures:
        return
    logs.write_one(
        row.job_id,
        "save.gave_up",
        f"The result of image {item.result.image_id} could not be saved. {reason}",
        "ERROR",
        image_id=item.result.image_id,
        inbox_id=row.id,
    )


def _readable_items(row: ClaimedRow) -> list[AcceptedItem] | None:
    """The items, or None when the body cannot be read: then its images fail once the tries are used up."""
    try:
        return row.items()
    except interruptions():
        raise
    except Exception as error:  # decompressor, JSON and version errors share no base class
        logger.exception("save.unreadable_body", job_id=row.job_id, inbox_id=row.id)
        if row.tries >= settings.INBOX_MAX_TRIES:
            _fail_all_of(row, f"The stored result cannot be read: {type(error).__name__}.")
            inbox.mark_applied(row)
            inbox.close(row)
            refresh_job(row.job_id)
        return None


def _fail_all_of(row: ClaimedRow, reason: str) -> None:
    with transaction.atomic():
        ledger.keep_job(row.job_id)
        images = [
            image
            for (image,) in rows(
                "SELECT image_id FROM jobs_jobtask WHERE job_id = %s AND accepted_in = %s AND status = %s",
                [row.job_id, row.id, TaskState.RECEIVED],
            )
        ]
        tasks = ledger.lock(row.job_id, images)
        ledger.fail(
            [
                Failure(task, ErrorCode.SAVE_ERROR, reason)
                for task in tasks.values()
                if task.status == TaskState.RECEIVED and task.accepted_in == row.id
            ]
        )


def _tell(row: ClaimedRow, items: Sequence[AcceptedItem]) -> None:
    """Progress, then NATS, then perhaps the job's end: in this order, so that an ack always comes last."""
    final: dict[int, int] = dict(
        rows(
            """SELECT image_id, status FROM jobs_jobtask
            WHERE job_id = %s AND image_id = ANY(%s) AND status > 1""",
            [row.job_id, [item.result.image_id for item in items]],
        )
    )
    settled = Settled(
        processed=[image for image, status in final.items() if status == TaskState.PROCESSED],
        failed=[image for image, status in final.items() if status == TaskState.FAILED],
    )
    deliveries = [item.delivery for item in items if item.delivery and item.result.image_id in final]
    counts = advance(row.job_id, settled, queued=any(item.delivery for item in items))
    acknowledge(row.job_id, deliveries)
    hit("acknowledge.after")
    if counts is None:
        return
    if counts.open:
        ask_for_refill(row.job_id)
    else:
        refresh_job(row.job_id)

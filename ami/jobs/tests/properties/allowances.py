"""What each verb may change, whoever interrupts it: the frame that the oracle holds every step to."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from django.conf import settings

from ami.jobs.lifecycle.holders import Worker
from ami.jobs.states import ErrorCode, TaskState
from ami.jobs.tests.properties.answers import Expected, Item, posted_by
from ami.jobs.tests.properties.changes import Change, Kind
from ami.jobs.tests.properties.oracle import Allowed
from ami.taskqueue import Lease

NOTHING = Allowed()


def reserving(worker: Worker, deleted: Collection[int], without_file: Collection[int]) -> Allowed:
    """Free rows are leased to this worker, or fail because they cannot be."""

    def may(change: Change) -> bool:
        before, after = change.before, change.after
        if before is None or after is None or before.status != TaskState.PENDING or not before.free:
            return False
        used_up = before.used >= settings.NATS_MAX_DELIVER
        why = {
            ErrorCode.DELIVERY_EXHAUSTED: used_up,
            ErrorCode.CAPTURE_DELETED: before.image_id in deleted,
            ErrorCode.NO_URL: before.image_id in without_file,
        }
        if change.kind is Kind.LEASED:
            return after.worker == worker.name and not any(why.values())
        if change.kind is not Kind.FAILED:
            return False
        return why.get(ErrorCode(after.error_code), False)

    return Allowed(may)


def checking() -> Allowed:
    """Health checks fail what is lost, end what is done, and declare queues lost; for the rest they ask."""

    def may(change: Change) -> bool:
        before, after = change.before, change.after
        if before is None or after is None or change.kind is not Kind.FAILED:
            return False
        silent = before.status == TaskState.PENDING and before.leased_until is not None and before.free
        used_up = before.used >= settings.NATS_MAX_DELIVER
        return silent and used_up and after.error_code == ErrorCode.DELIVERY_EXHAUSTED

    return Allowed(may, frozenset({Kind.QUEUE, Kind.FINISHED}))


def receiving(worker: Worker, items: Sequence[Item], expected: Sequence[Expected]) -> Allowed:
    """Exactly the changes that the answers speak of."""
    wanted = {item.key: answer.change for item, answer in zip(items, expected, strict=True) if answer.change}
    return Allowed(
        lambda change: wanted.get(change.key) is change.kind, posted=posted_by(worker, items, expected)
    )


def speaking_of(held: Collection[Lease], kind: Kind) -> Allowed:
    """The rows of these leases are extended or released."""
    keys = {(lease.job_id, lease.image_id) for lease in held}
    return Allowed(lambda change: change.key in keys and change.kind is kind)


def saving() -> Allowed:
    """Accepted results get their outcome, and the job may end."""
    outcomes = (Kind.PROCESSED, Kind.FAILED)

    def may(change: Change) -> bool:
        was_accepted = change.before is not None and change.before.status == TaskState.RECEIVED
        return was_accepted and change.kind in outcomes

    return Allowed(may, frozenset({Kind.FINISHED}))


REFRESHING = Allowed(jobs=frozenset({Kind.FINISHED}))


def dispatching(job_id: int, without_file: Collection[int]) -> Allowed:
    """Captures are collected: as pending, or as failed if they have no file; the job starts and may end."""

    def may(change: Change) -> bool:
        row = change.after
        if row is None or change.kind is not Kind.COLLECTED or row.job_id != job_id:
            return False
        if row.image_id in without_file:
            return (row.status, row.error_code) == (TaskState.FAILED, ErrorCode.NO_URL)
        return row.status == TaskState.PENDING

    return Allowed(may, frozenset({Kind.STARTED, Kind.FINISHED, Kind.QUEUE}))


def cancelling(job_id: int) -> Allowed:
    """What waits is cancelled."""
    return _rows(job_id, {Kind.CANCELLED}, Kind.REVOKED)


def deleting(job_id: int) -> Allowed:
    """The same, and then all of it goes."""
    return _rows(job_id, {Kind.CANCELLED, Kind.ROW_GONE}, Kind.REVOKED, Kind.JOB_GONE)


def starting(job_id: int) -> Allowed:
    """What is undone of a final job is opened again; a new job is submitted."""
    return _rows(job_id, {Kind.REOPENED}, Kind.AGAIN, Kind.SUBMITTED)


def deleting_capture(image_id: int) -> Allowed:
    """Its open images fail, in every job."""

    def may(change: Change) -> bool:
        row = change.after
        return row is not None and row.image_id == image_id and row.error_code == ErrorCode.CAPTURE_DELETED

    return Allowed(may)


def _rows(job_id: int, kinds: Collection[Kind], *jobs: Kind) -> Allowed:
    return Allowed(lambda change: change.key[0] == job_id and change.kind in kinds, frozenset(jobs))

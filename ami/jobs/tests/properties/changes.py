"""What happened to a row or a job between two looks, by name. What has no name must never happen."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from ami.jobs.states import FINAL, RUNNING, JobState, TaskState
from ami.jobs.tests.properties.view import JobRow, Key, Row, View


class Kind(StrEnum):
    """One change of one row or job."""

    COLLECTED = "collected"
    LEASED = "leased"
    GIVEN_BACK = "given back"
    RELEASED = "released"
    EXTENDED = "extended"
    RECEIVED = "received"
    FAILED = "failed"
    PROCESSED = "processed"
    CANCELLED = "cancelled"
    REOPENED = "reopened"
    ROW_GONE = "row gone"

    SUBMITTED = "submitted"
    STARTED = "started"
    FINISHED = "finished"
    REVOKED = "revoked"
    AGAIN = "started again"
    JOB_GONE = "job gone"
    CREATED = "created"
    QUEUE = "queue or collecting moved on"


_LEASE = {"leased_until", "not_before"}
_WORKER = {"worker", "instance_id"}
_COLUMNS: dict[Kind, set[str]] = {
    Kind.LEASED: {"attempt", *_LEASE, *_WORKER},
    Kind.GIVEN_BACK: _LEASE,
    Kind.RELEASED: {"leased_until", "released"},
    Kind.EXTENDED: {"leased_until"},
    Kind.RECEIVED: {"status", "accepted_in", *_LEASE, *_WORKER},
    Kind.FAILED: {"status", "error_code", "accepted_in", *_LEASE, *_WORKER},
    Kind.PROCESSED: {"status", "detections", "classifications"},
    Kind.CANCELLED: {"status", *_LEASE},
    Kind.REOPENED: {*Row._fields} - {"job_id", "image_id"},
}
"""Which columns each change may touch."""

_PENDING, _RECEIVED, _PROCESSED, _FAILED, _CANCELLED = TaskState
_BY_STATUS = {
    (_PENDING, _RECEIVED): Kind.RECEIVED,
    (_PENDING, _FAILED): Kind.FAILED,
    (_RECEIVED, _FAILED): Kind.FAILED,
    (_RECEIVED, _PROCESSED): Kind.PROCESSED,
    (_PENDING, _CANCELLED): Kind.CANCELLED,
    (_FAILED, _PENDING): Kind.REOPENED,
    (_CANCELLED, _PENDING): Kind.REOPENED,
}


@dataclass(frozen=True, slots=True)
class Change:
    """A row that changed; `before` is None for a new one, `after` for one that is gone."""

    kind: Kind
    key: Key
    before: Row | None
    after: Row | None

    def __str__(self) -> str:
        return f"image {self.key[1]} of job {self.key[0]} {self.kind}: {self.before} -> {self.after}"


@dataclass(frozen=True, slots=True)
class JobChange:
    """The same for a job."""

    kind: Kind
    job_id: int
    before: JobRow | None
    after: JobRow | None

    def __str__(self) -> str:
        return f"job {self.job_id} {self.kind}: {self.before} -> {self.after}"


def changes_between(before: View, after: View) -> list[Change]:
    """Every change of the ledger. Fails for one that there cannot be."""
    found = []
    for key in sorted(before.rows.keys() | after.rows.keys()):
        old, new = before.rows.get(key), after.rows.get(key)
        if _settled(old) != _settled(new):
            found.append(Change(_kind(old, new), key, old, new))
    return found


def _settled(row: Row | None) -> Row | None:
    return row and row._replace(free=False)  # that time went by is no change


def _kind(before: Row | None, after: Row | None) -> Kind:
    if before is None or after is None:
        return Kind.COLLECTED if before is None else Kind.ROW_GONE
    kind = _BY_STATUS.get((TaskState(before.status), TaskState(after.status)))
    if before.status == after.status == _PENDING:
        kind = _kind_of_lease(before, after)
    touched = {name for name in Row._fields if getattr(before, name) != getattr(after, name)} - {"free"}
    assert kind is not None, f"no row may change so: {before} -> {after}"
    assert touched <= _COLUMNS[kind], f"a row that is {kind} changed in {touched}: {before} -> {after}"
    assert after.status == _PENDING or after.leased_until is None
    return kind


def _kind_of_lease(before: Row, after: Row) -> Kind | None:
    if after.attempt == before.attempt + 1 and after.leased_until and not after.not_before:
        return Kind.LEASED
    if before.leased_until is None:
        return None  # there was no lease to do anything with
    if after.leased_until is not None:
        return Kind.EXTENDED
    if after.released == before.released + 1:
        return Kind.RELEASED
    return Kind.GIVEN_BACK if after.not_before else None


def job_changes_between(before: View, after: View) -> list[JobChange]:
    """Every change of jobs. Fails for one that there cannot be."""
    found = []
    for job_id in sorted(before.jobs.keys() | after.jobs.keys()):
        old, new = before.jobs.get(job_id), after.jobs.get(job_id)
        for kind in _job_kinds(old, new) if old != new else ():
            found.append(JobChange(kind, job_id, old, new))
    return found


def _job_kinds(before: JobRow | None, after: JobRow | None) -> list[Kind]:
    if before is None or after is None:
        return [Kind.CREATED if before is None else Kind.JOB_GONE]
    kinds = []
    if before.status != after.status:
        kinds.append(_kind_of_status(before, after))
    expected_run = before.run + (Kind.AGAIN in kinds)
    assert after.run == expected_run, f"the run of a job changed by itself: {before} -> {after}"
    if before[3:] != after[3:]:
        kinds.append(Kind.QUEUE)
        assert after.epoch >= before.epoch, f"an epoch came back: {before} -> {after}"
        assert after.collected >= before.collected, f"a job is not collected any more: {before} -> {after}"
        moved_on = after.published_to >= before.published_to or after.epoch > before.epoch
        assert moved_on, f"publishing went back in its epoch: {before} -> {after}"
    return kinds


def _kind_of_status(before: JobRow, after: JobRow) -> Kind:
    known = {
        (JobState.CREATED, JobState.PENDING): Kind.SUBMITTED,
        (JobState.PENDING, JobState.STARTED): Kind.STARTED,
    }
    if kind := known.get((JobState(before.status), JobState(after.status))):
        return kind
    if before.status in FINAL:
        assert after.status == JobState.PENDING, f"a job may not change so: {before} -> {after}"
        return Kind.AGAIN
    if after.status == JobState.REVOKED:
        return Kind.REVOKED
    finished = before.status in RUNNING and after.status in FINAL
    assert finished, f"a job may not change so: {before} -> {after}"
    return Kind.FINISHED

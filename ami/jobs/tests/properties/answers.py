"""What a worker posts, what it must be told, and what may change by it: the contract in a few lines."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from django.conf import settings

from ami.jobs.lifecycle.holders import Worker
from ami.jobs.lifecycle.posts import ItemStatus
from ami.jobs.lifecycle.reserve import ReservedTask
from ami.jobs.states import FINAL, TaskState
from ami.jobs.tests.properties.changes import Kind
from ami.jobs.tests.properties.oracle import Posted
from ami.jobs.tests.properties.view import Key, Row, Spot, View
from ami.jobs.tests.world import World
from ami.taskqueue import Lease, LeaseSigner


class Form(StrEnum):
    """What a worker says about a task."""

    RESULT = "result"
    ERROR = "error"
    LAST_ERROR = "error that no retry can mend"
    NONSENSE = "result in no known form"
    FORGED = "result under a token signed with another key"
    EDITED = "result under a token with one letter changed"


FAIR = (Form.RESULT, Form.ERROR, Form.LAST_ERROR, Form.NONSENSE)
FOUL = (Form.FORGED, Form.EDITED)


@dataclass(frozen=True)
class Item:
    """One item of a post. Items with the same `mark` and number of boxes say the same."""

    task: ReservedTask
    form: Form
    boxes: int = 1
    mark: int = 0

    @property
    def lease(self) -> Lease:
        """What the task was handed out under."""
        return self.task.lease

    @property
    def key(self) -> Key:
        """Its job and image."""
        return self.lease.job_id, self.lease.image_id

    @property
    def spots(self) -> frozenset[Spot]:
        """Where its boxes are."""
        return frozenset((10.0 * number + 1_000.0 * self.mark, 5.0) for number in range(self.boxes))

    def body(self, world: World) -> dict[str, Any]:
        """As it goes over the wire."""
        if self.form is Form.ERROR:
            return world.error(self.task)
        if self.form is Form.LAST_ERROR:
            return world.error(self.task, retryable=False)
        body = world.success(self.task, self.boxes)
        for detection in body["result"]["detections"]:
            detection["bbox"]["x1"] += 1_000.0 * self.mark
            detection["bbox"]["x2"] += 1_000.0 * self.mark
        if self.form is Form.NONSENSE:
            body["result"]["pipeline"] = "nobody-s"
        return body | {"reply_subject": self._token()}

    def _token(self) -> str:
        token = self.task.token
        if self.form is Form.FORGED:
            return LeaseSigner(["somebody else's key"]).sign(self.lease)
        if self.form is Form.EDITED:
            middle = len(token) // 2
            return token[:middle] + ("B" if token[middle] == "A" else "A") + token[middle + 1 :]
        return token


@dataclass(frozen=True, slots=True)
class Expected:
    """The answer to one item, and the change that it makes, if any."""

    status: ItemStatus
    change: Kind | None = None


def expected_answers(view: View, job_id: int, worker: Worker, items: Sequence[Item]) -> list[Expected]:
    """What a post of these items must be told, as things are."""
    seen: set[int] = set()
    return [_expected(view, job_id, worker, item, seen) for item in items]


def _expected(view: View, job_id: int, worker: Worker, item: Item, seen: set[int]) -> Expected:
    lease = item.lease
    if item.form in FOUL or lease.job_id != job_id or lease.holder != worker.holder:
        return Expected(ItemStatus.REJECTED)
    if lease.image_id in seen:
        return Expected(ItemStatus.DUPLICATE)
    seen.add(lease.image_id)
    row = view.rows.get(item.key)
    if row is None or row.status != TaskState.PENDING or row.run != lease.run:
        cancelled = row is not None and row.status == TaskState.CANCELLED
        return Expected(ItemStatus.CANCELLED if cancelled else ItemStatus.DUPLICATE)
    if item.form is Form.RESULT:
        return Expected(ItemStatus.QUEUED, Kind.RECEIVED)
    if not in_force(lease, row):
        return Expected(ItemStatus.DUPLICATE)
    if item.form is not Form.LAST_ERROR and row.used < settings.NATS_MAX_DELIVER:
        return Expected(ItemStatus.RETRY, Kind.GIVEN_BACK)
    return Expected(ItemStatus.FAILED, Kind.FAILED)


def in_force(lease: Lease, row: Row | None) -> bool:
    """Whether a row is out under this very lease, be its time over or not."""
    return (
        row is not None
        and row.status == TaskState.PENDING
        and row.leased_until is not None
        and (row.run, row.attempt) == (lease.run, lease.attempt)
    )


def posted_by(worker: Worker, items: Sequence[Item], expected: Sequence[Expected]) -> dict[Key, Posted]:
    """What each row has that becomes received."""
    return {
        item.key: Posted(item.spots, worker.name)
        for item, answer in zip(items, expected, strict=True)
        if answer.change is Kind.RECEIVED
    }


def expected_state(view: View, lease: Lease, acted: str) -> str:
    """What becomes of a lease that its holder wants to keep or to give back: `acted` if it is in force."""
    row = view.rows.get((lease.job_id, lease.image_id))
    if in_force(lease, row):
        return acted
    job = view.jobs.get(lease.job_id)
    gone = row is None or row.status == TaskState.CANCELLED or job is None or job.status in FINAL
    return "cancelled" if gone else "lost"

"""publish: put pending images into the job's stream, a window at a time, in ledger order.

A row that was never published is never lost: `published_to` moves only after the server confirmed, and only
while this slice holds the claim of this run and this epoch. Only this module creates streams.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import structlog
from django.conf import settings

from ami.base.database import execute, rows
from ami.base.failpoints import hit
from ami.jobs import logs
from ami.jobs.lifecycle import claims
from ami.jobs.lifecycle.announce import announce
from ami.jobs.lifecycle.claims import Claim
from ami.jobs.states import TaskState
from ami.taskqueue import (
    AsyncJobStateManager,
    PendingStateUnavailable,
    QueueMissing,
    TaskMessage,
    TaskQueueManager,
)

logger = structlog.get_logger(__name__)

INDEX_BLOCK = 20_000
"""Images that are read at once when the pending sets are written anew."""


class ClaimLost(Exception):
    """The claim went to another, or the job ended: whatever is left to do is not ours."""


@dataclass(frozen=True, slots=True)
class Cursor:
    """Where publishing stands: the epoch it publishes into and the last confirmed position."""

    epoch: int
    position: int


def publish_slice(claim: Claim, out_of_time: Callable[[], bool]) -> bool:
    """Publish until the window is full, nothing is left, or the slice's time is over.

    Returns whether another slice should follow at once. Raises QueueUnavailable when NATS does not answer.
    Safe to run twice: message ids make a repeated publish a no-op, and the ledger judges every delivery.
    """
    cursor = ensure_queue(claim)
    if cursor is None:
        return False
    queue = TaskQueueManager()
    standing = queue.message_count(claim.job_id)
    if standing is None:
        return True  # it vanished just now: the next slice builds it anew
    room = settings.DISPATCH_WINDOW - standing
    published = 0
    while room > 0 and not out_of_time():
        batch = _next_rows(claim.job_id, cursor.position, min(settings.PUBLISH_CHUNK, room))
        if not batch:
            break
        hit("publish.half" if published else "publish.first")
        try:
            confirmed = queue.publish(
                claim.job_id,
                cursor.epoch,
                [TaskMessage(image, run, reopened) for _, image, run, reopened in batch],
            )
        except QueueMissing:
            return True
        if confirmed == 0:
            return True
        cursor = Cursor(cursor.epoch, batch[confirmed - 1][0])
        if not _store(claim, cursor):
            return False
        published += confirmed
        room -= confirmed
        announce({claim.job_id: confirmed})
    if published:
        logs.write_one(
            claim.job_id, "job.published", f"Published {published:,} images to the queue.", count=published
        )
    return out_of_time() and room > 0 and bool(_next_rows(claim.job_id, cursor.position, 1))


def ensure_queue(claim: Claim) -> Cursor | None:
    """The stream to publish into, made anew under the next epoch if missing; None if the claim is lost."""
    found = rows("SELECT queue_epoch, published_to FROM jobs_job WHERE id = %s", [claim.job_id])
    if not found:
        return None
    epoch, position = found[0]
    queue = TaskQueueManager()
    if epoch and queue.exists(claim.job_id, epoch):
        return Cursor(epoch, position)
    lost = bool(epoch) and _stood_in_the_queue(claim.job_id, position)
    raised = execute(
        """UPDATE jobs_job SET queue_epoch = %s, published_to = 0, dispatch_seen = NULL
        WHERE id = %s AND queue_epoch = %s AND run = %s AND driver = %s
            AND status IN ('PENDING', 'STARTED', 'RETRY')""",
        [epoch + 1, claim.job_id, epoch, claim.run, claim.driver],
    )
    if not raised:
        return None
    hit("publish.after_epoch")
    queue.create(claim.job_id, epoch + 1)
    if lost:
        logs.write_one(
            claim.job_id,
            "job.queue_rebuilt",
            "The queue was missing and is rebuilt from the ledger.",
            "WARNING",
        )
    try:
        rebuild_pending_sets(claim.job_id, lambda: _keep(claim))
    except ClaimLost:
        return None
    return Cursor(epoch + 1, 0)


def _stood_in_the_queue(job_id: int, published_to: int) -> bool:
    """Whether images wait whose messages were published: without the stream, those are lost.

    Rows that a retry reopened stand behind the cursor, and the queue of a job that ended is gone by design.
    """
    found = rows(
        """SELECT EXISTS (SELECT 1 FROM jobs_jobtask
        WHERE job_id = %s AND position <= %s AND status = %s)""",
        [job_id, published_to, TaskState.PENDING],
    )
    return bool(found[0][0])


def rebuild_pending_sets(job_id: int, keep: Callable[[], None] = lambda: None) -> None:
    """Write the Redis index of a job anew from the ledger; without Redis, go on without it.

    `keep` is called for every block of images, since a large ledger may take longer than a claim lasts; what
    it raises ends the rebuilding and leaves the index as it was.
    """

    def images(*states: TaskState) -> Iterator[int]:
        return _image_ids(job_id, states, keep)

    try:
        AsyncJobStateManager(job_id).rebuild(
            pending_process=images(TaskState.PENDING),
            pending_results=images(TaskState.PENDING, TaskState.RECEIVED),
            failed=images(TaskState.FAILED),
            total=rows("SELECT count(*) FROM jobs_jobtask WHERE job_id = %s", [job_id])[0][0],
        )
    except PendingStateUnavailable as error:
        logger.warning("pending_sets.not_rebuilt", job_id=job_id, error=error.message)


def unpublished_rows(job_id: int) -> bool:
    """Whether pending rows stand beyond the publish cursor.

    Two statements on purpose: joined, the planner may read the whole ledger to find the first such row.
    """
    found = rows("SELECT published_to FROM jobs_job WHERE id = %s", [job_id])
    return bool(found) and bool(_next_rows(job_id, found[0][0], 1))


def _next_rows(job_id: int, after: int, limit: int) -> list[tuple[int, int, int, int]]:
    return [
        (row[0], row[1], row[2], row[3])
        for row in rows(
            """SELECT position, image_id, run, reopened FROM jobs_jobtask
            WHERE job_id = %s AND position > %s AND status = %s ORDER BY position LIMIT %s""",
            [job_id, after, TaskState.PENDING, limit],
        )
    ]


def _store(claim: Claim, cursor: Cursor) -> bool:
    """Remember what is confirmed and hold the claim for longer; False when run, epoch or driver changed."""
    stored = execute(
        """UPDATE jobs_job SET published_to = %s
        WHERE id = %s AND driver = %s AND run = %s AND queue_epoch = %s""",
        [cursor.position, claim.job_id, claim.driver, claim.run, cursor.epoch],
    )
    return bool(stored) and claims.extend(claim)


def _keep(claim: Claim) -> None:
    hit("publish.index_block")
    if not claims.extend(claim):
        raise ClaimLost


def _image_ids(
    job_id: int, states: Sequence[TaskState], keep: Callable[[], None] = lambda: None
) -> Iterator[int]:
    """Image ids of a job in these states, streamed in blocks so that memory stays flat."""
    after = 0
    while True:
        keep()
        block = rows(
            """SELECT image_id FROM jobs_jobtask
            WHERE job_id = %s AND image_id > %s AND status = ANY(%s) ORDER BY image_id LIMIT %s""",
            [job_id, after, [int(state) for state in states], INDEX_BLOCK],
        )
        if not block:
            return
        yield from (row[0] for row in block)
        after = block[-1][0]

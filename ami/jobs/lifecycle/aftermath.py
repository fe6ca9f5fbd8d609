"""What the rest of the system hears of a post after its commit: an action per image, a task per inbox row.

Best effort within half a second, and skipped while NATS is known to be down: the ledger already holds the
truth, a redelivered message is judged by it, and the inbox check enqueues what Celery did not take.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field

import structlog

from ami.base.failpoints import hit
from ami.jobs.dispatcher import dispatcher
from ami.taskqueue import Ack, Action, DeliveryRef, InProgress, Nak, QueueError, TaskQueueManager

logger = structlog.get_logger(__name__)

DEADLINE_SECONDS = 0.5


@dataclass(slots=True)
class Aftermath:
    """Collects what to tell while the transaction runs; tells it when asked, after the commit.

    NATS has nothing to hear of images without a delivery: they were pushed to a service.
    """

    job_id: int
    actions: list[Action] = field(default_factory=list)
    inbox_ids: list[int] = field(default_factory=list)
    failed: bool = False
    """Whether an image of the job failed for good, so that its progress needs a refresh."""

    def accepted(self, delivery: DeliveryRef | None, inbox_id: int) -> None:
        """The image is being saved: nobody else may get it meanwhile."""
        if delivery:
            self.actions.append(InProgress(delivery))
        if self.inbox_ids[-1:] != [inbox_id]:  # they come in the order of the rows
            self.inbox_ids.append(inbox_id)

    def in_progress(self, delivery: DeliveryRef | None) -> None:
        """The image was accepted before and is still being saved."""
        if delivery:
            self.actions.append(InProgress(delivery))

    def settled(self, delivery: DeliveryRef | None) -> None:
        """The image has its outcome: the message may go."""
        if delivery:
            self.actions.append(Ack(delivery))

    def retried(self, delivery: DeliveryRef | None, wait: float) -> None:
        """The image gets another attempt after `wait` seconds."""
        if delivery:
            self.actions.append(Nak(delivery, wait))

    def carry_out(self) -> None:
        """Tell Celery and NATS. Never raises; takes at most `DEADLINE_SECONDS`."""
        deadline = time.monotonic() + DEADLINE_SECONDS
        for inbox_id in self.inbox_ids:  # one by one: what a slow broker leaves, the inbox check enqueues
            if time.monotonic() >= deadline or not dispatcher().save([inbox_id]):
                break
        hit("receive.after_enqueue")
        left = deadline - time.monotonic()
        if not self.actions or left <= 0:
            return
        try:
            TaskQueueManager().settle(self.actions, deadline=left)
        except QueueError as error:
            logger.info(
                "receive.not_settled", job_id=self.job_id, count=len(self.actions), error=error.message
            )

"""acknowledge: let NATS forget deliveries whose outcome is durable; the last step, always."""

from __future__ import annotations

from collections.abc import Sequence

import structlog

from ami.base.failpoints import hit
from ami.taskqueue import Ack, DeliveryRef, QueueError, TaskQueueManager

logger = structlog.get_logger(__name__)


def acknowledge(job_id: int, deliveries: Sequence[DeliveryRef]) -> bool:
    """Ack a batch in one hop; False when NATS did not hear it.

    Safe to run twice and to leave out: a message that stays is delivered again, the ledger calls it settled,
    and reserve acks it then.
    """
    hit("acknowledge.before")
    if not deliveries:
        return True
    try:
        TaskQueueManager().settle([Ack(delivery) for delivery in deliveries])
    except QueueError as error:
        logger.info("acknowledge.later", job_id=job_id, count=len(deliveries), error=error.message)
        return False
    return True

"""Celery's workers go on when Redis does not take an acknowledgement.

kombu counts a message as in hand until its acknowledgement reached Redis. One that ran into a timeout is
logged and forgotten there, and its place among the messages that a worker may hold is lost for good: after as
many of them as a worker has processes it takes no task any more, silently. A Redis that stands still for ten
seconds is enough. Here the place is free in any case; the message itself comes again when its visibility
timeout is over, and every task of ours may run twice.
"""

from __future__ import annotations

from typing import Any

from kombu.transport.redis import Channel, QoS
from kombu.transport.virtual import QoS as Places


class PatientQoS(QoS):
    """Gives the place of a message back also when Redis did not hear of it."""

    def ack(self, delivery_tag: Any) -> None:
        """Acknowledge; raises what Redis raised, after the place is free."""
        try:
            super().ack(delivery_tag)
        except Exception:
            Places.ack(self, delivery_tag)
            raise

    def reject(self, delivery_tag: Any, requeue: bool = False) -> None:
        """Reject, likewise."""
        try:
            super().reject(delivery_tag, requeue=requeue)
        except Exception:
            Places.ack(self, delivery_tag)
            raise


def keep_places() -> None:
    """Use it for every connection of this process that is opened from now on. Safe to call twice."""
    Channel.QoS = PatientQoS

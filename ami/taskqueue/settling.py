"""Acknowledge, give back or extend deliveries: a batch is sent and confirmed in one round trip.

Every subject is rebuilt from verified numbers. An answer to a delivery of an earlier epoch, of a deleted
stream or of a message acknowledged before changes nothing, so a batch may be sent twice.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import orjson

from ami.taskqueue.client import Connection
from ami.taskqueue.names import DeliveryRef

_NS = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Ack:
    """The message is done with; its stream forgets it."""

    kind: ClassVar[str] = "ack"
    delivery: DeliveryRef

    @property
    def payload(self) -> bytes:
        """What the server is told."""
        return b"+ACK"


@dataclass(frozen=True, slots=True)
class Nak:
    """Hand the message out again, after `delay` seconds."""

    kind: ClassVar[str] = "nak"
    delivery: DeliveryRef
    delay: float = 0.0

    @property
    def payload(self) -> bytes:
        """What the server is told."""
        if self.delay <= 0:
            return b"-NAK"
        return b"-NAK " + orjson.dumps({"delay": int(self.delay * _NS)})


@dataclass(frozen=True, slots=True)
class InProgress:
    """Start the message's lease anew."""

    kind: ClassVar[str] = "in_progress"
    delivery: DeliveryRef

    @property
    def payload(self) -> bytes:
        """What the server is told."""
        return b"+WPI"


Action = Ack | Nak | InProgress


async def settle(connection: Connection, actions: Sequence[Action]) -> None:
    """Send all actions and wait until the server has read them. Safe to repeat."""
    for action in actions:
        await connection.client.publish(action.delivery.ack_subject(), action.payload)
    await connection.barrier()

"""Reserve messages of several jobs in one go: raw `no_wait` pulls, all sent before the first answer is read.

Each pull has its own reply subscription, because delivered messages keep their original subject and could not
be told apart on a shared one. A pull ends with its last message or with the server's "no more". One that is
given up before goes on listening for a while: what comes too late is given back, or it would lie in nobody's
hands until its lease is over.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial

import orjson
import structlog
from nats.aio.msg import Msg

from ami.taskqueue import streams
from ami.taskqueue.client import Connection
from ami.taskqueue.listening import subscribed
from ami.taskqueue.messages import ReservedMessage, decode
from ami.taskqueue.names import DeliveryRef, consumer_name, parse_ack_subject, stream_name

logger = structlog.get_logger(__name__)

_STATUS_HEADER = "Status"
_QUIET_SECONDS = 0.02  # silence after which an unfinished pull is looked into
_LONG_QUIET_SECONDS = 0.3


@dataclass(frozen=True, slots=True)
class ReserveRequest:
    """Up to `count` messages of one incarnation of a job's stream."""

    job_id: int
    epoch: int
    count: int


class Pull:
    """One request under way, and what it has brought so far."""

    def __init__(self, request: ReserveRequest, limit: int) -> None:
        self.request = request
        self.batch = min(request.count, limit)
        self.arrived = 0
        self.ended = asyncio.Event()
        self.unreadable: list[DeliveryRef] = []
        self._messages: list[ReservedMessage] = []
        self._taken = False
        self._lock = threading.Lock()  # the caller may leave while the loop still delivers

    def add(self, message: Msg) -> bool:
        """Take one delivered message, or the server's word that there are no more. False: it is too late."""
        if message.headers and _STATUS_HEADER in message.headers:
            self.ended.set()
            return True
        self.arrived += 1
        if self.arrived >= self.batch:
            self.ended.set()
        with self._lock:
            if not self._taken:
                self._read(message)
            return not self._taken

    def take(self) -> list[ReservedMessage]:
        """What has arrived; nothing is added any more."""
        with self._lock:
            self._taken = True
            return self._messages

    def _read(self, message: Msg) -> None:
        delivery = parse_ack_subject(message.reply)
        try:
            self._messages.append(decode(message.data, delivery))
        except ValueError:
            logger.warning("taskqueue.message_unreadable", job_id=delivery.job_id, seq=delivery.stream_seq)
            self.unreadable.append(delivery)


async def reserve(connection: Connection, pulls: Sequence[Pull]) -> None:
    """Fill the pulls with what their jobs have to hand out now; nothing waits for messages to come.

    What arrived stays in the pulls even when this raises. Messages that cannot be understood are
    acknowledged: they could never be worked on, and the ledger republishes what is really open.
    """
    async with AsyncExitStack() as stack:
        for pull in pulls:
            inbox = connection.client.new_inbox()
            listening = subscribed(
                connection.client, inbox, partial(_arrive, connection, pull), until=pull.ended
            )
            await stack.enter_async_context(listening)
            body = orjson.dumps({"batch": pull.batch, "no_wait": True})
            await connection.client.publish(_pull_subject(pull.request), body, inbox)
        try:
            async with asyncio.TaskGroup() as group:
                for pull in pulls:
                    group.create_task(_finished(connection, pull))
        except ExceptionGroup as failures:
            raise failures.exceptions[0] from None
    for pull in pulls:
        for delivery in pull.unreadable:
            await connection.client.publish(delivery.ack_subject(), b"+ACK")


async def _arrive(connection: Connection, pull: Pull, message: Msg) -> None:
    if not pull.add(message):
        await connection.client.publish(message.reply, b"-NAK")


async def _finished(connection: Connection, pull: Pull) -> None:
    """Wait for the end of a pull.

    A consumer with `max_ack_pending` leases says nothing at all instead of "no more", and so does a missing
    one on old servers. So silence leads to a look at the consumer. It is believed when that explains it, or
    when it lasts although the server answers our looks.
    """
    quiet, believed, explained = _QUIET_SECONDS, False, False
    while not believed:
        arrived = pull.arrived
        if await _ends_within(pull, quiet):
            return
        quiet *= 2
        if pull.arrived == arrived:
            request = pull.request
            state = await streams.consumer_state(connection, request.job_id, request.epoch)
            explained = state is None or state.is_full
            believed = explained or quiet > _LONG_QUIET_SECONDS
    await _ends_within(pull, _QUIET_SECONDS)  # what was on its way while we looked
    if explained:  # a full consumer would keep the request and serve it when there is room, however late
        pull.ended.set()


async def _ends_within(pull: Pull, seconds: float) -> bool:
    try:
        async with asyncio.timeout(seconds):
            await pull.ended.wait()
    except TimeoutError:
        return False
    return True


def _pull_subject(request: ReserveRequest) -> str:
    stream, consumer = stream_name(request.job_id), consumer_name(request.job_id, request.epoch)
    return f"$JS.API.CONSUMER.MSG.NEXT.{stream}.{consumer}"

"""Subscriptions for the length of a block, or a little longer where an answer may still be on its way."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from nats.errors import ConnectionClosedError, ConnectionDrainingError, OutboundBufferLimitError

OnMessage = Callable[[Msg], Awaitable[None]]

GONE = (OutboundBufferLimitError, ConnectionClosedError, ConnectionDrainingError)
"""What nats-py raises when there is no connection."""

_LATE_ANSWER_SECONDS = 30.0
_late: set[asyncio.Task[None]] = set()


@asynccontextmanager
async def subscribed(
    client: Client, subject: str, on_message: OnMessage, until: asyncio.Event | None = None
) -> AsyncIterator[None]:
    """Have every message on `subject` passed to `on_message` during a block.

    If `until` is not set when the block ends, go on in the background until it is: for half a minute at most.
    """
    subscription = await client.subscribe(subject, cb=on_message)
    try:
        yield
    finally:
        if until is None or until.is_set():
            await _unsubscribe(subscription)
        else:
            task = asyncio.create_task(_listen_on(subscription, until))
            _late.add(task)
            task.add_done_callback(_late.discard)


async def _listen_on(subscription: Subscription, until: asyncio.Event) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(_LATE_ANSWER_SECONDS):
            await until.wait()
    await _unsubscribe(subscription)


async def _unsubscribe(subscription: Subscription) -> None:
    with suppress(*GONE):
        await subscription.unsubscribe()

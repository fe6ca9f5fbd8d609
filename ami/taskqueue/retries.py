"""`retry_on_connection_error`: repeat what is safe to repeat while the connection comes back."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import TypeVar

from ami.taskqueue.errors import ConnectionLost

T = TypeVar("T")

_FIRST_WAIT = 0.02
_LONGEST_WAIT = 0.2


async def retry_on_connection_error(operation: Callable[[], Awaitable[T]], *, until: float) -> T:
    """Await `operation()` until it does not fail with ConnectionLost; no try begins after loop time `until`.

    Waits between tries grow and are jittered, so that many processes do not come back in step. Only for
    operations that may run twice. A server that is connected and silent is not retried: it used up the time.
    """
    clock = asyncio.get_running_loop().time
    wait = _FIRST_WAIT
    while True:
        try:
            return await operation()
        except ConnectionLost:
            pause = wait * random.uniform(0.5, 1.0)  # noqa: S311 - spreads load, protects no secret
            if clock() + pause >= until:
                raise
        await asyncio.sleep(pause)
        wait = min(wait * 2, _LONGEST_WAIT)

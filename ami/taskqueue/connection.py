"""`ConnectionPool`: one connection per event loop.

Our loop thread lives as long as its process, so its connection is really reused; code that runs on a loop of
its own gets a connection of its own.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable

from ami.taskqueue.client import Connection
from ami.taskqueue.config import QueueConfig


class ConnectionPool:
    """One connection per event loop. Our loop thread lives as long as the process, so it is really reused."""

    def __init__(self, config: QueueConfig, on_alive: Callable[[], None] = lambda: None) -> None:
        """`on_alive` is called, on the loop, at every sign of life of the server."""
        self._config = config
        self._on_alive = on_alive
        self._lock = threading.Lock()
        self._connections: dict[asyncio.AbstractEventLoop, Connection] = {}
        self._closing: set[asyncio.Task[None]] = set()

    async def get_connection(self) -> Connection:
        """The connected connection of the running loop; concurrent first calls share one connect.

        Raises ConnectionLost at once when the server is known to be away; reconnecting goes on meanwhile.
        """
        loop = asyncio.get_running_loop()
        with self._lock:
            for stopped in [known for known in self._connections if known.is_closed()]:
                del self._connections[stopped]
            connection = self._connections.get(loop)
            if connection is None or connection.is_spent:
                if connection is not None:
                    self._close_in_background(connection)
                connection = self._connections[loop] = Connection(self._config, self._on_alive)
        await connection.ready()
        return connection

    async def reset_connection(self) -> None:
        """Close the running loop's connection; the next `get_connection` makes a new one."""
        with self._lock:
            connection = self._connections.pop(asyncio.get_running_loop(), None)
        if connection is not None:
            await connection.close()

    def _close_in_background(self, connection: Connection) -> None:
        task = asyncio.get_running_loop().create_task(connection.close())
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

"""A TCP proxy that can be told to drop connections, or to let nothing through and say nothing."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Self

CHUNK = 65_536
START_SECONDS = 10.0


class Proxy:
    """`with Proxy(port) as proxy:` stands before a port of this machine, at `proxy.port`."""

    def __init__(self, target: int) -> None:
        """`target`: the port behind it."""
        self.port = 0
        self._target = target
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._refusing = False
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._open: set[asyncio.StreamWriter] = set()
        self._thread = threading.Thread(target=self._work, name=f"proxy-of-{target}", daemon=True)

    def drop(self) -> None:
        """Break all connections, and those that come, until `restore`."""
        self._do(self._drop)

    def hold(self) -> None:
        """Let no byte through, either way, until `restore`; connections stay, and new ones are taken."""
        self._do(self._flowing.clear)

    def restore(self) -> None:
        """Be a line that works."""
        self._do(self._restore)

    def __enter__(self) -> Self:
        self._thread.start()
        if not self._ready.wait(START_SECONDS):
            raise RuntimeError(f"The proxy of port {self._target} did not start.")
        return self

    def __exit__(self, *_: object) -> None:
        self._do(self._drop)
        self._do(self._loop.stop)
        self._thread.join()

    def _do(self, action: Callable[[], object]) -> None:
        self._loop.call_soon_threadsafe(action)

    def _drop(self) -> None:
        self._refusing = True
        for writer in self._open:
            writer.transport.abort()

    def _restore(self) -> None:
        self._refusing = False
        self._flowing.set()

    def _work(self) -> None:
        server = self._loop.run_until_complete(asyncio.start_server(self._serve, "127.0.0.1", 0))
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        self._loop.run_forever()
        server.close()
        for task in asyncio.all_tasks(self._loop):
            task.cancel()
        self._loop.run_until_complete(asyncio.sleep(0))
        self._loop.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._refusing:
            writer.transport.abort()
            return
        try:
            inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", self._target)
        except OSError:
            writer.transport.abort()
            return
        both = {writer, inner_writer}
        self._open |= both
        try:
            await asyncio.gather(self._pump(reader, inner_writer), self._pump(inner_reader, writer))
        finally:
            self._open -= both

    async def _pump(self, source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await source.read(CHUNK):
                await self._flowing.wait()
                target.write(data)
                await target.drain()
        target.transport.abort()

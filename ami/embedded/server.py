"""What the three servers have in common: how they are started side by side, crashed, frozen and stopped."""

from __future__ import annotations

import logging
import os
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from signal import Signals
from typing import ClassVar

from ami.embedded.errors import EmbeddedError
from ami.embedded.process import ServerProcess

POLL_SECONDS = 0.002
START_SECONDS = 60.0
STOP_SECONDS = 15.0

logger = logging.getLogger(__name__)


class Server(ABC):
    """A server of our own. Its data lies in `home`; address and data survive `kill`, `stop` and `start`."""

    name: ClassVar[str]
    stop_signal: ClassVar[Signals]

    def __init__(
        self,
        home: Path,
        *,
        durable: bool = False,
        environ: Mapping[str, str] = os.environ,
    ) -> None:
        """`durable`: survive a power cut, not just the end of the process."""
        self.home = home
        self.durable = durable
        self.log = home / f"{self.name.lower()}.log"
        self.keep_open: tuple[int, ...] = ()
        """File descriptors that the server inherits."""
        self._environ = environ
        self._process: ServerProcess | None = None

    @property
    @abstractmethod
    def url(self) -> str:
        """The address, with credentials, for clients on this machine."""

    @abstractmethod
    def starting(self) -> Iterator[None]:
        """Start it step by step: yields while it has to wait, ends when clients can connect."""

    @property
    def running(self) -> bool:
        """Whether the process lives; a paused one does."""
        return self._process is not None and self._process.running

    def start(self) -> None:
        """Start it and wait until clients can connect; does nothing if it runs."""
        start_together([self])

    def restart(self) -> None:
        """Stop in order, then start at the same address with the same data."""
        self.stop()
        self.start()

    def stop(self) -> None:
        """Stop in order; does nothing if it does not run."""
        self.ask_to_stop()
        self.wait_until_stopped()

    def ask_to_stop(self) -> None:
        """The first half of `stop`, so that several servers can stop side by side."""
        if self._process is not None:
            self._process.ask_to_stop(self.stop_signal)

    def wait_until_stopped(self) -> None:
        """The second half of `stop`."""
        if self._process is not None:
            self._process.wait_until_stopped(STOP_SECONDS)

    def kill(self) -> None:
        """Crash it: SIGKILL for the process and its children."""
        self._started().kill()

    def pause(self) -> None:
        """Freeze it: connections stay open and nothing answers."""
        self._started().pause()

    def resume(self) -> None:
        """Let it go on after `pause`."""
        self._started().resume()

    @property
    def pid(self) -> int:
        """The process id of the running server."""
        return self._started().pid

    def _started(self) -> ServerProcess:
        if self._process is None or not self._process.running:
            raise EmbeddedError(f"{self.name} is not running.")
        return self._process

    def _waiting(self, process: ServerProcess) -> Iterator[None]:
        """Yield once a step; ends when the process has, raises when all this takes too long."""
        deadline = time.monotonic() + START_SECONDS
        while process.running:
            if time.monotonic() > deadline:
                process.kill()
                raise EmbeddedError(
                    f"{self.name} did not answer within {START_SECONDS:.0f} s.\n{process.said()}"
                )
            yield


def start_together(servers: Sequence[Server]) -> None:
    """Start servers side by side, in this thread. If one fails the others may already run."""
    begun = time.monotonic()
    pending = [(server, server.starting()) for server in servers if not server.running]
    while pending:
        for server, steps in list(pending):
            if next(steps, server) is server:
                pending.remove((server, steps))
                logger.debug("%s answers after %.3f s", server.name, time.monotonic() - begun)
        time.sleep(POLL_SECONDS)

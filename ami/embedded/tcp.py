"""What Valkey and NATS have in common: a port of 127.0.0.1 and a password, chosen once and kept."""

from __future__ import annotations

import secrets
import socket
from abc import abstractmethod
from collections.abc import Iterator
from pathlib import Path

from ami.embedded.errors import EmbeddedError
from ami.embedded.process import ServerProcess
from ami.embedded.server import Server

PORT_TRIES = 10
# Below the ports that Linux and macOS give to outgoing connections: while a server is down, a client that
# keeps calling could otherwise be given the server's own port, and the server could not come back to it.
PORTS = range(20_000, 30_000)
PORT_TAKEN = "address already in use"


class TcpServer(Server):
    """A server behind a random port and a random password; this object keeps both over a restart."""

    _port = 0
    _password = ""

    @abstractmethod
    def _launch(self, directory: Path) -> ServerProcess:
        """Write the configuration and start the process."""

    @abstractmethod
    def _answers(self) -> bool:
        """Whether the process that we launched serves clients; asked until it does."""

    def starting(self) -> Iterator[None]:
        directory = self.home / self.name.lower()
        directory.mkdir(mode=0o700, exist_ok=True)
        self._password = self._password or secrets.token_urlsafe(24)
        has_port = self._port != 0
        for _ in range(PORT_TRIES):
            self._port = self._port if has_port else _free_port()
            self._process = process = self._launch(directory)
            for _ in self._waiting(process):
                if self._answers():
                    return
                yield
            # Another program may take a port between our look and the server's bind.
            if has_port or PORT_TAKEN not in process.said().lower():
                break
        raise EmbeddedError(f"{self.name} ended while it started:\n{process.said()}")


def write_private(file: Path, text: str) -> None:
    """Write a file with a password in it, readable by us alone."""
    file.touch(mode=0o600)
    file.write_text(text)


def _free_port() -> int:
    for port in secrets.SystemRandom().sample(PORTS, k=len(PORTS)):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise EmbeddedError(f"No port between {PORTS.start} and {PORTS.stop - 1} is free on 127.0.0.1.")

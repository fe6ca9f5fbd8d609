"""An embedded Valkey (or Redis): pending sets, cache and Celery's broker."""

from __future__ import annotations

import signal
import socket
from pathlib import Path

from ami.embedded.binaries import find_valkey
from ami.embedded.process import ServerProcess
from ami.embedded.tcp import TcpServer, write_private

CONFIGURATION = """\
bind 127.0.0.1
port {port}
requirepass {password}
dir "{directory}"
daemonize no
maxmemory-policy noeviction
save ""
appendonly yes
appendfsync {fsync}
"""


class Valkey(TcpServer):
    """Valkey behind a random password. What it has answered survives its death, because it writes a log."""

    name = "Valkey"
    stop_signal = signal.SIGTERM

    @property
    def url(self) -> str:
        return self.database_url(0)

    def database_url(self, number: int) -> str:
        """The address of one of the 16 numbered databases."""
        return f"redis://:{self._password}@127.0.0.1:{self._port}/{number}"

    def _launch(self, directory: Path) -> ServerProcess:
        program = find_valkey(self._environ)
        fsync = "everysec" if self.durable else "no"
        settings = {"port": self._port, "password": self._password, "directory": directory, "fsync": fsync}
        write_private(directory / "valkey.conf", CONFIGURATION.format(**settings))
        return ServerProcess(
            [program, directory / "valkey.conf"], log=self.log, cwd=directory, keep_open=self.keep_open
        )

    def _answers(self) -> bool:
        """Whether it takes our password, which no other server does, and has loaded its data."""
        try:
            with socket.create_connection(("127.0.0.1", self._port), timeout=0.5) as connection:
                connection.sendall(f"AUTH {self._password}\r\nPING\r\n".encode())
                answer = b""
                while answer.count(b"\r\n") < 2 and (part := connection.recv(1024)):
                    answer += part
        except OSError:
            return False
        return answer == b"+OK\r\n+PONG\r\n"

"""An embedded NATS with JetStream: hands tasks to workers."""

from __future__ import annotations

import http.client
import json
import signal
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from ami.embedded.binaries import find_nats
from ami.embedded.process import ServerProcess
from ami.embedded.tcp import TcpServer, write_private

USER = "ami"
MAX_PAYLOAD_BYTES = 8 * 1024 * 1024
HEALTH = "/healthz?js-enabled-only=true"


class Nats(TcpServer):
    """NATS behind a random password, its streams on disk."""

    name = "NATS"
    stop_signal = signal.SIGINT
    monitoring_url = ""
    """Where the server tells about itself over HTTP: /varz, /jsz, /connz. Another one after each start."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.limits: dict[str, int] = {}
        """Further settings of JetStream for the next start, such as `max_file_store` in bytes."""

    @property
    def url(self) -> str:
        return f"nats://{USER}:{self._password}@127.0.0.1:{self._port}"

    def _launch(self, directory: Path) -> ServerProcess:
        program = find_nats(self._environ)
        settings = {
            "listen": f"127.0.0.1:{self._port}",
            "http": "127.0.0.1:-1",  # a port of its choice, told in the ports file
            "ports_file_dir": str(directory),
            "authorization": {"user": USER, "password": self._password},
            "max_payload": MAX_PAYLOAD_BYTES,
            "jetstream": {"store_dir": str(directory), **self.limits},
        }
        # NATS reads JSON as well as its own format.
        write_private(directory / "nats.conf", json.dumps(settings, indent=2))
        for stale in directory.glob("*.ports"):
            stale.unlink()
        self.monitoring_url = ""
        return ServerProcess(
            [program, "--config", directory / "nats.conf"],
            log=self.log,
            cwd=directory,
            keep_open=self.keep_open,
        )

    def _answers(self) -> bool:
        """Whether JetStream is up; asked at the monitoring port that this process wrote down."""
        if not self.monitoring_url:
            for file in (self.home / "nats").glob("*.ports"):
                try:
                    self.monitoring_url = json.loads(file.read_text())["monitoring"][0]
                except json.JSONDecodeError:  # half written
                    return False
        return bool(self.monitoring_url) and _healthy(urlsplit(self.monitoring_url).netloc)


def _healthy(address: str) -> bool:
    connection = http.client.HTTPConnection(address, timeout=0.5)
    try:
        connection.request("GET", HEALTH)
        return connection.getresponse().status == http.HTTPStatus.OK
    except OSError:
        return False
    finally:
        connection.close()

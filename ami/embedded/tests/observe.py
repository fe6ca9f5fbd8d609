"""What the tests of the embedded servers look at: processes, time limits, and a few words of NATS."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import psutil

from ami.embedded.process import alive


def wait_until(condition: Callable[[], bool], what: str, seconds: float = 10.0) -> None:
    """Wait for a condition; fail with `what` if it does not come true in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"after {seconds} s still not: {what}"
        time.sleep(0.01)


def family(pid: int) -> list[psutil.Process]:
    """Everything that descends from a process."""
    return psutil.Process(pid).children(recursive=True)


def family_with(pid: int, *names: str) -> list[psutil.Process]:
    """The same, once programs of these names are among it."""
    found: list[psutil.Process] = []

    def complete() -> bool:
        found[:] = family(pid)
        return set(names) <= {process.name() for process in found}

    wait_until(complete, f"{', '.join(names)} run")
    return found


def wait_until_gone(processes: list[psutil.Process]) -> None:
    """Wait until none of them runs; zombies that this machine's first process leaves behind do not count."""
    wait_until(
        lambda: not any(alive(process) for process in processes),
        f"{[process.pid for process in processes]} have ended",
    )


def nats_request(url: str, subject: str, payload: Any = None) -> dict[str, Any]:
    """Ask the JetStream API over the plain protocol; only `ami.taskqueue` uses the client library."""
    address = urlsplit(url)
    options = {"user": address.username, "pass": address.password, "verbose": False, "pedantic": False}
    body = json.dumps(payload).encode() if payload is not None else b""
    with socket.create_connection((address.hostname, address.port), timeout=5) as connection:
        stream = connection.makefile("rwb")
        stream.write(b"CONNECT %b\r\nSUB reply 1\r\n" % json.dumps(options).encode())
        stream.write(b"PUB %b reply %d\r\n%b\r\n" % (subject.encode(), len(body), body))
        stream.flush()
        for line in stream:
            assert not line.startswith(b"-ERR"), line
            if line.startswith(b"MSG "):
                answer: dict[str, Any] = json.loads(stream.read(int(line.split()[-1])))
                assert "error" not in answer, answer
                return answer
    raise AssertionError("the connection was closed")

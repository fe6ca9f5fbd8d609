"""Fixtures of the worker's tests: a server that speaks the contract, and waits that take no time."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator

import pytest

from ami.worker.client import AmiClient
from ami.worker.tests.contract_server import TOKEN, ContractServer, running_server

DEADLINE = 20.0


def wait_until(condition: Callable[[], object]) -> None:
    """Return as soon as the condition holds; fail when the deadline is over."""
    deadline = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.005)


class RecordedWaits(threading.Event):
    """An event whose waits return at once and are written down."""

    def __init__(self) -> None:
        super().__init__()
        self.waits: list[float] = []

    def wait(self, timeout: float | None = None) -> bool:
        """Whether it is set, now."""
        self.waits.append(timeout or 0.0)
        return self.is_set()


@pytest.fixture
def server() -> Iterator[ContractServer]:
    with running_server() as state:
        yield state


@pytest.fixture
def stop() -> RecordedWaits:
    return RecordedWaits()


@pytest.fixture
def client(server: ContractServer, stop: RecordedWaits) -> Iterator[AmiClient]:
    client = AmiClient(server.base, TOKEN, service_name="gpu-01", stop=stop)
    yield client
    client.close()

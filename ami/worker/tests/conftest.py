"""Fixtures of the worker's tests: a server that speaks the contract, and waits that take no time."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from ami.worker.client import AmiClient
from ami.worker.tests.contract_server import TOKEN, ContractServer, running_server


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

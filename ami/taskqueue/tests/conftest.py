"""Real servers for the queue layer: shared ones for behaviour, own ones to be killed and frozen."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
import redis

from ami.embedded.nats import Nats
from ami.embedded.valkey import Valkey
from ami.taskqueue import QueueConfig, TaskQueueManager, event_loop
from ami.taskqueue.redis_client import shared_client

_job_ids = itertools.count(1)


@pytest.fixture(scope="session")
def nats_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nats]:
    """A NATS that the tests share; each uses jobs of its own."""
    server = Nats(tmp_path_factory.mktemp("nats"))
    server.start()
    yield server
    event_loop.shutdown()
    server.stop()


@pytest.fixture(scope="session")
def valkey_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Valkey]:
    """A Valkey that the tests share; each uses jobs of its own."""
    server = Valkey(tmp_path_factory.mktemp("valkey"))
    server.start()
    yield server
    server.stop()


@pytest.fixture
def new_nats(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[], Nats]]:
    """Starts servers of the test's own; connections to them are closed afterwards."""
    with ExitStack() as servers:

        def start() -> Nats:
            server = Nats(tmp_path_factory.mktemp("nats"))
            servers.callback(lambda: server.kill() if server.running else None)
            server.start()
            return server

        yield start
        event_loop.shutdown()


@pytest.fixture
def own_nats(new_nats: Callable[[], Nats]) -> Nats:
    """A NATS for this test alone."""
    return new_nats()


@pytest.fixture
def config(nats_server: Nats) -> QueueConfig:
    return QueueConfig(url=nats_server.url)


@pytest.fixture
def queue(config: QueueConfig) -> TaskQueueManager:
    return TaskQueueManager(config)


@pytest.fixture
def job_id() -> int:
    """A job that no other test uses."""
    return next(_job_ids)


@pytest.fixture
def redis_client(valkey_server: Valkey) -> redis.Redis:
    return shared_client(valkey_server.url)

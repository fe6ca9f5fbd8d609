"""The session's own NATS and Valkey for behaviour, and a NATS to be killed and frozen."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterator

import pytest
import redis

from ami.embedded.nats import Nats
from ami.embedded.valkey import Valkey
from ami.taskqueue import QueueConfig, TaskQueueManager, event_loop
from ami.taskqueue.redis_client import shared_client

_job_ids = itertools.count(1_000_000_000)  # far from the jobs of other tests on the same servers


@pytest.fixture(scope="session")
def nats_url() -> str:
    """The NATS that all tests share; each uses jobs of its own."""
    return os.environ["NATS_URL"]


@pytest.fixture(scope="session")
def redis_url() -> str:
    """The Valkey that all tests share; each uses jobs of its own."""
    return os.environ["REDIS_URL"]


@pytest.fixture
def lone_nats(own_nats: Callable[[], Nats]) -> Iterator[Nats]:
    """A NATS for this test alone; nothing keeps calling it afterwards."""
    server = own_nats()
    yield server
    if server.running:
        server.kill()
    event_loop.shutdown()


@pytest.fixture
def lone_valkey(own_valkey: Callable[[], Valkey]) -> Iterator[Valkey]:
    """A Valkey for this test alone."""
    server = own_valkey()
    yield server
    if server.running:
        server.kill()


@pytest.fixture
def config(nats_url: str) -> QueueConfig:
    """Patient, so that a busy machine fails no test; those about outages have their own."""
    return QueueConfig(url=nats_url, operation_timeout=10.0)


@pytest.fixture
def queue(config: QueueConfig) -> TaskQueueManager:
    return TaskQueueManager(config)


@pytest.fixture
def job_id() -> int:
    """A job that no other test uses."""
    return next(_job_ids)


@pytest.fixture
def redis_client(redis_url: str) -> redis.Redis:
    return shared_client(redis_url)

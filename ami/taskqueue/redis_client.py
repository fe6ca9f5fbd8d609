"""The Redis client of the pending sets: one pool per process, quick to give up."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from ami.taskqueue.config import redis_url_from_settings
from ami.taskqueue.errors import PendingStateUnavailable

_TIMEOUT = 0.5  # seconds to connect, and to wait for an answer; work goes on without Redis

_lock = threading.Lock()
_clients: dict[str, redis.Redis] = {}
_inherited: list[dict[str, redis.Redis]] = []  # of the parent of a fork, kept so that nothing is closed


def shared_client(url: str | None = None) -> redis.Redis:
    """The process's client for this URL (default: REDIS_URL); thread-safe, connects on first use."""
    url = url or redis_url_from_settings()
    with _lock:
        if url not in _clients:
            _clients[url] = redis.Redis.from_url(
                url,
                socket_connect_timeout=_TIMEOUT,
                socket_timeout=_TIMEOUT,
                retry=Retry(NoBackoff(), 0),
            )
        return _clients[url]


@contextmanager
def redis_errors() -> Iterator[None]:
    """Whatever goes wrong with Redis becomes PendingStateUnavailable."""
    try:
        yield
    except redis.RedisError as error:
        raise PendingStateUnavailable from error


def _forget_parent() -> None:
    global _lock, _clients
    _inherited.append(_clients)
    _lock, _clients = threading.Lock(), {}


os.register_at_fork(after_in_child=_forget_parent)

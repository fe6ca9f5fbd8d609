"""Enqueues Celery tasks without ever hanging on the broker.

Requests must not wait for a broker that is down or frozen, so messages go out over connections of their own
with short socket timeouts, and after a failure the broker is left alone for a moment.
"""

from __future__ import annotations

import threading
import time
from typing import Any

import structlog
from celery import Task, current_app
from kombu import Producer
from kombu.exceptions import KombuError
from redis.exceptions import RedisError

logger = structlog.get_logger(__name__)

SOCKET_SECONDS = 0.4
LEAVE_ALONE_SECONDS = 1.0

_local = threading.local()
_down_until = 0.0


def send(task: Task[Any, Any], *arguments: Any, queue: str, delay: float = 0) -> bool:
    """Enqueue a task, to run after `delay` seconds; False when the broker did not take it. Never raises."""
    global _down_until
    if time.monotonic() < _down_until:
        return False
    try:
        task.apply_async(arguments, queue=queue, countdown=delay, producer=_producer(), retry=False)
    except (KombuError, RedisError, OSError) as error:
        _down_until = time.monotonic() + LEAVE_ALONE_SECONDS
        _forget_producer()
        logger.warning("broker.unavailable", task=task.name, error=type(error).__name__)
        return False
    return True


def _producer() -> Producer:
    """This thread's producer, made on first use."""
    producer: Producer | None = getattr(_local, "producer", None)
    if producer is None:
        connection = current_app.connection_for_write()
        connection.transport_options = {
            **(connection.transport_options or {}),
            "socket_timeout": SOCKET_SECONDS,
            "socket_connect_timeout": SOCKET_SECONDS,
            "max_retries": 0,
        }
        producer = Producer(connection, auto_declare=False)
        _local.producer = producer
    return producer


def _forget_producer() -> None:
    producer: Producer | None = _local.__dict__.pop("producer", None)
    if producer is not None and (connection := producer.connection) is not None:
        try:
            connection.close()
        except (KombuError, RedisError, OSError):
            logger.debug("broker.connection_already_gone")

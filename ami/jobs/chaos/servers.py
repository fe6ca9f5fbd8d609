"""Losing what Redis and NATS hold of this installation, and of nobody else."""

from __future__ import annotations

from django.conf import settings

from ami.taskqueue import TaskQueueManager
from ami.taskqueue.redis_client import redis_errors, shared_client


def flush_redis() -> int:
    """Empty the databases of pending sets, broker and cache; returns how many keys were lost.

    Other databases of the server stay as they are. Raises PendingStateUnavailable when Redis does not answer.
    Safe to run twice.
    """
    cache = settings.CACHES["default"].get("LOCATION", "")
    urls = dict.fromkeys([settings.REDIS_URL, settings.CELERY_BROKER_URL, cache])
    lost = 0
    for url in urls:
        if isinstance(url, str) and url.startswith(("redis://", "rediss://", "unix://")):
            with redis_errors():
                client = shared_client(url)
                lost += client.dbsize()
                client.flushdb(asynchronous=True)
    return lost


def flush_nats() -> list[int]:
    """Delete the streams of all jobs, and no other stream; returns their jobs.

    Raises QueueUnavailable when NATS does not answer. Safe to run twice.
    """
    queue = TaskQueueManager()
    jobs = [stream.job_id for stream in queue.list_streams()]
    return [job_id for job_id in jobs if queue.delete(job_id)]


def delete_stream(job_id: int) -> bool:
    """Delete the stream of one job; False if it had none. Raises QueueUnavailable. Safe to run twice."""
    return TaskQueueManager().delete(job_id)

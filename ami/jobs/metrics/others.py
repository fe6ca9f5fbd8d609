"""What Redis, the broker and NATS say; each in one round trip, or one listing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from django.conf import settings
from redis import Redis

from ami.base.metrics.rendering import Sample
from ami.jobs.metrics import table
from ami.jobs.metrics.database import Facts
from ami.taskqueue import OpenLeases, Pace, TaskQueueManager

QUEUES = ("default", "jobs", "results", "health")
"""Of Celery."""

_UNACKED = "unacked"  # kombu's name for what workers have in hand


def ask_redis(facts: Facts) -> list[Sample]:
    """Leases of the jobs that hand out tasks, and how fast pipelines are worked on; nothing without jobs."""
    pace = Pace().rates()
    if not facts.samples:  # Postgres did not say what to ask about
        return []
    held = OpenLeases().of_jobs([job.id for job in facts.serving])
    images: Counter[str] = Counter()
    for job in facts.serving:
        images[job.pipeline] += held[job.id].images
    ends = [job.first_ends_in for job in held.values() if job.first_ends_in is not None]
    oldest = max(0.0, settings.NATS_TASK_TTR - min(ends)) if ends else 0.0
    rates: dict[str, float] = {}
    for (_, pipeline_id), rate in pace.items():
        slug = facts.slugs.get(pipeline_id, "")
        rates[slug] = rates.get(slug, 0.0) + rate
    return [
        *((table.LEASES.name, (slug,), float(n)) for slug, n in images.items()),
        (table.OLDEST_LEASE.name, (), oldest),
        *((table.RATE.name, (slug,), rate) for slug, rate in rates.items() if slug),
    ]


def ask_broker(_facts: Facts) -> list[Sample]:
    """The length of Celery's queues; nothing to say where the broker is no Redis."""
    url: str = settings.CELERY_BROKER_URL
    if not url.startswith(("redis://", "rediss://")):
        return []
    with (
        Redis.from_url(url, socket_timeout=1, socket_connect_timeout=1) as redis,
        redis.pipeline(transaction=False) as pipe,
    ):
        for queue in QUEUES:
            pipe.llen(queue)
        pipe.hlen(_UNACKED)
        *depths, unacked = pipe.execute()
    return [
        *((table.CELERY_QUEUE.name, (queue,), float(n)) for queue, n in zip(QUEUES, depths, strict=True)),
        (table.CELERY_UNACKED.name, (), float(unacked)),
    ]


def ask_queue(_facts: Facts) -> list[Sample]:
    """Streams and their messages: a page of 256 streams is one request."""
    streams: Sequence[Any] = TaskQueueManager().list_streams()
    return [
        (table.STREAMS.name, (), float(len(streams))),
        (table.STREAM_MESSAGES.name, (), float(sum(stream.messages for stream in streams))),
        (table.STREAM_BYTES.name, (), float(sum(stream.bytes for stream in streams))),
    ]

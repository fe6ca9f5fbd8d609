"""`Pace`: how many images got their result, per project, pipeline and minute, kept in Redis.

One hash per minute, of which the last few are kept. It is for people and autoscalers; nothing depends on it.
"""

from __future__ import annotations

import time
from collections import Counter

import redis

from ami.taskqueue.redis_client import redis_errors, shared_client

MINUTES = 5
"""Over how many whole minutes a rate is measured; the one that has begun comes on top."""

_KEPT_SECONDS = 60 * (MINUTES + 2)


class Pace:
    """What was done lately. Raises PendingStateUnavailable when Redis fails."""

    def __init__(self, client: redis.Redis | None = None) -> None:
        """`client`: without one, the process's own for REDIS_URL."""
        self._client = client or shared_client()

    def note(self, project_id: int, pipeline_id: int, images: int) -> None:
        """So many more images have their result. Not safe to run twice: it adds up."""
        key = _key(_minute())
        with redis_errors(), self._client.pipeline(transaction=False) as pipe:
            pipe.hincrby(key, f"{project_id}.{pipeline_id}", images)
            pipe.expire(key, _KEPT_SECONDS)
            pipe.execute()

    def rates(self) -> dict[tuple[int, int], float]:
        """Images a second over the last minutes, by project and pipeline; others are absent."""
        now = time.time()
        with redis_errors(), self._client.pipeline(transaction=False) as pipe:
            for minute in range(_minute() - MINUTES, _minute() + 1):
                pipe.hgetall(_key(minute))
            answers = pipe.execute()
        done: Counter[bytes] = Counter()
        for answer in answers:
            done.update({field: int(images) for field, images in answer.items()})
        seconds = 60 * MINUTES + now % 60
        return {_parts(field): images / seconds for field, images in done.items()}


def _minute() -> int:
    return int(time.time() // 60)


def _key(minute: int) -> str:
    return f"pace:{minute}"


def _parts(field: bytes) -> tuple[int, int]:
    project, _, pipeline = field.decode().partition(".")
    return int(project), int(pipeline)

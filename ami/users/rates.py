"""Rate limits: how often one caller may call one route. Worker calls and results have buckets of their own.

Counted in Redis, in windows of `WINDOW_SECONDS`, in one round trip. Without Redis nobody is limited.
"""

from __future__ import annotations

import math
import random
import time
from typing import Any

import structlog
from django.conf import settings
from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle

from ami.taskqueue.errors import PendingStateUnavailable
from ami.taskqueue.redis_client import redis_errors, shared_client
from ami.users.callers import Machine

logger = structlog.get_logger(__name__)

WINDOW_SECONDS = 10
LEAVE_ALONE_SECONDS = 5.0
_away_until = 0.0


class RouteRate(BaseThrottle):
    """The default throttle of every view. A view names the kinds of its actions in `rate_kinds`."""

    _wait = 0.0

    def allow_request(self, request: Request, view: Any) -> bool:
        """Count this call; False if the caller has made too many on this route within the window."""
        action = str(getattr(view, "action", None) or request.method)
        kind = getattr(view, "rate_kinds", {}).get(action, "api")
        who = self._caller(request)
        limit = settings.RATE_LIMIT_ANONYMOUS if who.startswith("address:") else _limit(kind)
        now = time.time()
        window = int(now // WINDOW_SECONDS)
        count = _count(f"rate:{type(view).__name__}.{action}:{who}:{window}")
        left = (window + 1) * WINDOW_SECONDS - now
        self._wait = left + random.uniform(0, 1)  # noqa: S311 - spreads load: they must not all come back at once
        return count <= limit

    def wait(self) -> float:
        """Seconds after which the caller may try again."""
        return float(math.ceil(self._wait))

    def _caller(self, request: Request) -> str:
        user = request.user
        if isinstance(user, Machine):
            return f"key:{user.key_id}"
        return f"user:{user.pk}" if user.is_authenticated else f"address:{self.get_ident(request)}"


def _limit(kind: str) -> int:
    limits = {
        "api": settings.RATE_LIMIT_API,
        "worker": settings.RATE_LIMIT_WORKER,
        "results": settings.RATE_LIMIT_RESULTS,
    }
    return int(limits[kind])


def _count(key: str) -> int:
    """How many calls there were under this key, with this one; 0 while Redis is away."""
    global _away_until
    if time.monotonic() < _away_until:
        return 0
    try:
        with redis_errors(), shared_client().pipeline(transaction=False) as pipe:
            pipe.incr(key)
            pipe.expire(key, 2 * WINDOW_SECONDS)
            return int(pipe.execute()[0])
    except PendingStateUnavailable as error:
        _away_until = time.monotonic() + LEAVE_ALONE_SECONDS
        logger.warning("rates.unavailable", error=error.message)
        return 0

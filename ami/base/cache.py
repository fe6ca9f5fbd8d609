"""A cache that is allowed to be absent: a dead cache server costs a miss, never an error."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import structlog
from django.core.cache.backends.redis import RedisCache
from redis.exceptions import RedisError

logger = structlog.get_logger(__name__)


class TolerantRedisCache(RedisCache):
    """Django's Redis cache, except that reads miss and writes do nothing while Redis is away."""

    def _tolerate(self, call: Callable[[], Any], fallback: Any) -> Any:
        try:
            return call()
        except (RedisError, OSError) as error:
            logger.warning("cache.unavailable", error=type(error).__name__)
            return fallback

    def add(self, *args: Any, **kwargs: Any) -> bool:
        """False when Redis is away, as if another process had added the key."""
        return bool(self._tolerate(lambda: super(TolerantRedisCache, self).add(*args, **kwargs), False))

    def get(self, key: Any, default: Any = None, version: int | None = None) -> Any:
        """The default when Redis is away."""
        return self._tolerate(lambda: super(TolerantRedisCache, self).get(key, default, version), default)

    def set(self, *args: Any, **kwargs: Any) -> None:
        """Nothing when Redis is away."""
        self._tolerate(lambda: super(TolerantRedisCache, self).set(*args, **kwargs), None)

    def delete(self, *args: Any, **kwargs: Any) -> bool:
        """False when Redis is away."""
        return bool(self._tolerate(lambda: super(TolerantRedisCache, self).delete(*args, **kwargs), False))

    def get_many(self, *args: Any, **kwargs: Any) -> dict[Any, Any]:
        """Empty when Redis is away."""
        found: dict[Any, Any] = self._tolerate(
            lambda: super(TolerantRedisCache, self).get_many(*args, **kwargs), {}
        )
        return found

    def set_many(self, *args: Any, **kwargs: Any) -> list[Any]:
        """No key stored when Redis is away."""
        failed: list[Any] = self._tolerate(
            lambda: super(TolerantRedisCache, self).set_many(*args, **kwargs), []
        )
        return failed

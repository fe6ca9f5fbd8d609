"""The servers that the platform stands on: Postgres, Redis, NATS, the cache."""

from __future__ import annotations

from typing import Any

from environ import Env

from config import declare

DATABASE_URL = declare.string(
    "DATABASE_URL", "postgresql://localhost/ami", "Postgres: the truth.", secret=True
)
REDIS_URL = declare.string(
    "REDIS_URL",
    "redis://localhost:6379/0",
    "Redis for pending sets; maxmemory-policy noeviction.",
    secret=True,
)
CACHE_URL = declare.string(
    "CACHE_URL", "", "Redis for the cache, may evict. Empty: database 2 of REDIS_URL's server.", secret=True
)
NATS_URL = declare.string("NATS_URL", "nats://localhost:4222", "NATS with JetStream.", secret=True)

CONN_MAX_AGE = declare.integer(
    "CONN_MAX_AGE",
    60,
    "Seconds a database connection is kept between requests; plays no part with a pool.",
    minimum=0,
)
DB_STATEMENT_TIMEOUT_MS = declare.integer(
    "DB_STATEMENT_TIMEOUT_MS",
    60_000,
    "Milliseconds after which Postgres gives up on a statement.",
    minimum=1000,
)
DB_POOL_MAX = declare.integer(
    "DB_POOL_MAX",
    0,
    "Database connections that the threads of one process share; 0: one per thread. "
    "The web server sets 12, for it has many threads that mostly wait.",
    minimum=0,
)
_database = dict(Env.db_url_config(DATABASE_URL))
_pool: dict[str, Any] = (
    {"pool": {"min_size": 1, "max_size": DB_POOL_MAX, "timeout": 5}} if DB_POOL_MAX else {}
)
DATABASES: dict[str, dict[str, Any]] = {
    "default": {
        **_database,
        "ENGINE": "django.db.backends.postgresql",
        "ATOMIC_REQUESTS": False,
        "CONN_MAX_AGE": 0 if DB_POOL_MAX else CONN_MAX_AGE,
        "CONN_HEALTH_CHECKS": True,
        "OPTIONS": {
            **_database.get("OPTIONS", {}),
            **_pool,
            "connect_timeout": 5,
            "options": "-c lock_timeout=15s -c idle_in_transaction_session_timeout=60s "
            f"-c statement_timeout={DB_STATEMENT_TIMEOUT_MS}",
        },
    }
}


def redis_database(url: str, number: int) -> str:
    """The same server, another database number."""
    head, _, tail = url.rpartition("/")
    return f"{head}/{number}" if tail.isdigit() else f"{url.rstrip('/')}/{number}"


CACHES: dict[str, dict[str, Any]] = {
    "default": {
        "BACKEND": "ami.base.cache.TolerantRedisCache",
        "LOCATION": CACHE_URL or redis_database(REDIS_URL, 2),
        "OPTIONS": {"socket_timeout": 0.5, "socket_connect_timeout": 0.5},
    }
}

# Reads of slow-changing tables only: on the write path it cost more than it saved.
CACHALOT_ENABLED = declare.boolean("CACHALOT_ENABLED", True, "Cache reads of slow-changing tables of `main`.")
CACHALOT_ONLY_CACHABLE_TABLES = frozenset({"main_project", "main_deployment", "main_device", "main_site"})
# How old a read may be, in seconds. Not long: one that a write overtakes on its way into the cache looks
# newer than the write, and an invalidation that Redis does not hear is lost.
CACHALOT_TIMEOUT = 3
# Our raw SQL never writes these tables, and parsing every statement to find out is not free.
CACHALOT_INVALIDATE_RAW = False
# It does not know our cache class by name; that class is Django's Redis cache with misses for errors.
SILENCED_SYSTEM_CHECKS = ["cachalot.W001"]

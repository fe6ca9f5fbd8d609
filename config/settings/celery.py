"""Background work."""

from __future__ import annotations

from config import declare
from config.settings.servers import REDIS_URL, redis_database

CELERY_BROKER_URL = declare.string(
    "CELERY_BROKER_URL",
    redis_database(REDIS_URL, 1),
    "Broker of our own background work; noeviction.",
    secret=True,
)
CELERY_TASK_DEFAULT_QUEUE = "default"
CELERY_TASK_SERIALIZER = "json"
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_TASK_SOFT_TIME_LIMIT = 110
CELERY_TASK_TIME_LIMIT = 120
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_TRANSPORT_OPTIONS = {
    "visibility_timeout": declare.integer(
        "CELERY_VISIBILITY_TIMEOUT",
        300,
        "Seconds after which the broker hands a dead worker's task to another; above the longest task.",
        minimum=5,
    ),
    "socket_timeout": 5,
    "socket_connect_timeout": 1,
    # Enqueueing is best effort everywhere (a health check repeats it), so a dead broker must cost little.
    "max_retries": 0,
}
CELERY_TASK_PUBLISH_RETRY = False
CELERY_BEAT_SCHEDULER = "django_celery_beat.schedulers:DatabaseScheduler"
CELERY_DB_REUSE_MAX = 1_000
CELERY_TIMEZONE = "UTC"

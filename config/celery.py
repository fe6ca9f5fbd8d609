"""The Celery application: our own background work on our own machines."""

from __future__ import annotations

import os
from typing import Any

from celery import Celery
from celery.signals import setup_logging, worker_init, worker_process_init, worker_process_shutdown
from django.conf import settings
from django_structlog.celery.steps import DjangoStructLogInitStep

from ami.jobs.acknowledging import keep_places
from ami.taskqueue import shutdown
from config.checks import refuse_nonsense
from config.observability.sentry import start_sentry
from config.observability.tracing import start_tracing

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings.production")

app = Celery("ami")
app.config_from_object("django.conf:settings", namespace="CELERY")
# Celery's Django fixup reads this key in capitals only; without it every task opens a new connection.
app.conf["CELERY_DB_REUSE_MAX"] = settings.CELERY_DB_REUSE_MAX
app.steps["worker"].add(DjangoStructLogInitStep)
app.autodiscover_tasks()
keep_places()

import config.metrics.celery  # noqa: E402, F401 - its signals; it needs what is above


@setup_logging.connect
def keep_our_logging(**_: Any) -> None:
    """Connecting to this signal is how Celery is told to leave the logging set-up alone."""


@worker_init.connect
def refuse_to_start_with_nonsense(**_: Any) -> None:
    """Problems in the settings end the worker with a sentence each."""
    refuse_nonsense()


@worker_init.connect
def no_query_cache_in_workers(**_: Any) -> None:
    """Background work writes; caching reads there cost seconds per task in the reference system."""
    settings.CACHALOT_ENABLED = False


@worker_init.connect
def send_errors(**_: Any) -> None:
    """To Sentry, where one is set; its thread survives the fork of the pool."""
    start_sentry()


@worker_process_init.connect
def send_traces(**_: Any) -> None:
    """From each process of the pool, where a collector is set."""
    start_tracing("celery")


@worker_process_shutdown.connect
def leave_the_queue(**_: Any) -> None:
    """Pool processes end without Python's exit handlers, so the connection is closed here."""
    shutdown()

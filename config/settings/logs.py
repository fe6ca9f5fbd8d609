"""Logs."""

from __future__ import annotations

from config import declare

LOG_FORMAT = declare.string(
    "LOG_FORMAT",
    "json",
    "How log lines look: json for machines, console for people.",
    choices=["json", "console"],
)
LOG_LEVEL = declare.string(
    "LOG_LEVEL", "INFO", "Lowest level that is written.", choices=["DEBUG", "INFO", "WARNING", "ERROR"]
)
DJANGO_STRUCTLOG_CELERY_ENABLED = True

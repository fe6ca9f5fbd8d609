"""Structured logs: one event name, then fields; JSON for machines or a readable line for people."""

from __future__ import annotations

import re
from typing import Any

import structlog
from structlog.types import EventDict, Processor

_SECRET_KEYS = re.compile(r"token|password|secret|authorization|api_key|reply_subject", re.IGNORECASE)
_URL_PASSWORD = re.compile(r"(?<=://)[^/\s:@]*:[^@\s]+(?=@)")
_SIGNATURE = re.compile(r"(?<=[?&]signature=)[^&\s'\"]+")
_CONTROL = re.compile(r"\x1b\[[0-9;]*[A-Za-z]|[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def hide_secrets(_logger: Any, _method: str, event: EventDict) -> EventDict:
    """Mask values under secret names, and passwords and signatures inside URLs, wherever a line has them."""
    for key, value in event.items():
        if _SECRET_KEYS.search(key) and value:
            event[key] = "***"
        elif isinstance(value, str) and ("://" in value or "signature=" in value):
            event[key] = _SIGNATURE.sub("***", _URL_PASSWORD.sub("***:***", value))
    return event


def clean_text(text: str, limit: int = 2_000) -> str:
    """Strip control characters and terminal escapes from text of strangers, and cut it to `limit`."""
    text = text.encode("utf-8", "replace").decode("utf-8")
    return _CONTROL.sub("", text)[:limit]


SHARED: list[Processor] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_log_level,
    structlog.stdlib.add_logger_name,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
    hide_secrets,
]


def configure_logging(fmt: str, level: str) -> dict[str, Any]:
    """Django's LOGGING dictionary; configures structlog on the way. Safe to run twice.

    `fmt` is `json` or `console`.
    """
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *SHARED,
            structlog.stdlib.PositionalArgumentsFormatter(),
            structlog.processors.StackInfoRenderer(),
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    # Not the console's own way of showing errors: it prints the values of all variables, passwords included,
    # and takes a second for each error, which stops a server whose database is away.
    console = structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback)
    renderer: Processor = structlog.processors.JSONRenderer() if fmt == "json" else console
    final: list[Processor] = [structlog.stdlib.ProcessorFormatter.remove_processors_meta]
    if fmt == "json":
        final.append(structlog.processors.format_exc_info)
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {
            "structured": {
                "()": structlog.stdlib.ProcessorFormatter,
                "processors": [*final, renderer],
                "foreign_pre_chain": SHARED,
            }
        },
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "structured"}},
        "root": {"handlers": ["stderr"], "level": level},
        "loggers": {
            "django_structlog": {"level": "WARNING"},
            "celery": {"level": "INFO" if level == "DEBUG" else "WARNING"},
            "kombu": {"level": "WARNING"},
            "django.request": {"level": "ERROR"},
            "nats": {"level": "CRITICAL"},
        },
    }

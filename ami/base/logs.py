"""Structured logs: one event name, then fields; JSON for machines or a readable line for people."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from typing import Any

import structlog
from structlog.types import EventDict, Processor

_SECRET_KEYS = re.compile(r"token|password|secret|authorization|api_key|reply_subject", re.IGNORECASE)
_VALUE = r"""[^&\s'"\\]+"""
_SECRETS: tuple[tuple[re.Pattern[str], str], ...] = (
    # the name and password in a URL
    (re.compile(r"""(?<=://)[^/\s:@"\\]{0,200}:[^@\s"\\]{1,200}(?=@)"""), "***:***"),
    # what signs a link or opens a door, in the query of a URL, or of a URL inside a URL
    (
        re.compile(
            r"((?:[?&;]|%3F|%26)(?:[\w-]*(?:signature|token|secret|credential|password)|sig|(?:api[_-]?)?key)"
            rf"(?:=|%3D)){_VALUE}",
            re.IGNORECASE,
        ),
        r"\1***",
    ),
    (re.compile(rf"\b(password=){_VALUE}", re.IGNORECASE), r"\1***"),
    # an Authorization header; our tokens are longer than any word
    (re.compile(r"\b((?:token|bearer|basic)\s+)[\w.~+/=-]{24,}", re.IGNORECASE), r"\1***"),
    # a worker key; its prefix is no secret (`ami.ml.keys`)
    (re.compile(r"\b(amiw_[a-zA-Z0-9]{8}_)\w+"), r"\1***"),
    # the secret of a webhook
    (re.compile(r"\b(whsec_)[\w+/=-]+"), r"\1***"),
)
_CONTROL = re.compile(r"\x1b\[[0-9;]*[A-Za-z]|[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def mask(text: str) -> str:
    """The text without what looks like a secret: passwords and signatures in URLs, tokens, worker keys."""
    for secret, shown in _SECRETS:
        text = secret.sub(shown, text)
    return text


def hide_secrets(_logger: Any, _method: str, event: EventDict) -> EventDict:
    """Mask values under secret names, at any depth."""
    return {key: _hidden(key, value) for key, value in event.items()}


def masked(value: Any, key: object = "") -> Any:
    """A copy of plain data without secrets, at any depth: for what goes elsewhere than to a log."""
    if value and _SECRET_KEYS.search(str(key)):
        return "***"
    if isinstance(value, str):
        return mask(value)
    if isinstance(value, Mapping):
        return {name: masked(inner, name) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [masked(inner) for inner in value]
    return value


def _hidden(key: object, value: Any) -> Any:
    if value and _SECRET_KEYS.search(str(key)):
        return "***"
    return {name: _hidden(name, inner) for name, inner in value.items()} if isinstance(value, dict) else value


def _mask_line(_logger: Any, _method: str, line: str) -> str:
    """The last step: only a finished line has everything in it that is written, tracebacks included."""
    return mask(line)


def mask_record(record: logging.LogRecord) -> bool:
    """Mask a line of somebody else's logging, with its traceback: a filter that lets everything through."""
    record.msg, record.args = mask(record.getMessage()), ()
    if record.exc_info and not record.exc_text:
        record.exc_text = mask(logging.Formatter().formatException(record.exc_info))
    return True


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


_STEPS: list[Processor] = [
    structlog.stdlib.filter_by_level,
    *SHARED,
    structlog.stdlib.PositionalArgumentsFormatter(),
    structlog.processors.StackInfoRenderer(),
    structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
]
"""One list for good: loggers that are in use keep it, and what tests do to it reaches them all."""


def configure_logging(fmt: str, level: str) -> dict[str, Any]:
    """Django's LOGGING dictionary; configures structlog on the way. Safe to run twice.

    `fmt` is `json` or `console`.
    """
    structlog.configure(
        processors=_STEPS,
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
                "processors": [*final, renderer, _mask_line],
                "foreign_pre_chain": SHARED,
            }
        },
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "structured"}},
        "root": {"handlers": ["stderr"], "level": level},
        "loggers": {
            # Named to take away the handlers that Django gives them: there is one way out, and it masks.
            # Below INFO its templates write down variables, those of a page about an error among them.
            "django": {"level": "INFO"},
            "django.server": {"propagate": True},
            "django_structlog": {"level": "WARNING"},
            "celery": {"level": "INFO" if level == "DEBUG" else "WARNING"},
            "kombu": {"level": "WARNING"},
            "django.request": {"level": "ERROR"},
            "nats": {"level": "CRITICAL"},
            # Below INFO it writes down whole addresses; those of webhooks are secrets.
            "urllib3": {"level": "INFO"},
        },
    }

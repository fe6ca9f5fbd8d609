"""Errors to Sentry and traces to a collector, where one is set (docs/howto/operate/tracing.md)."""

from __future__ import annotations

from config.observability.sentry import start_sentry
from config.observability.tracing import start_tracing


def start(role: str) -> None:
    """Begin in this process; call it before the application is made, and once."""
    start_sentry()
    start_tracing(role)


__all__ = ["start", "start_sentry", "start_tracing"]

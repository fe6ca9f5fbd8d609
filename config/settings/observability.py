"""Errors to Sentry, traces to a collector: both off unless an address is set."""

from __future__ import annotations

from config import declare

SENTRY_DSN = declare.string(
    "SENTRY_DSN",
    "",
    "Where errors are sent (Sentry, or what speaks its protocol); secrets are masked. Needs "
    "requirements/observability.txt.",
    secret=True,
)
SENTRY_ENVIRONMENT = declare.string(
    "SENTRY_ENVIRONMENT", "production", "Name of this installation in Sentry."
)
OTEL_EXPORTER_OTLP_ENDPOINT = declare.string(
    "OTEL_EXPORTER_OTLP_ENDPOINT",
    "",
    "Collector that traces are sent to, over HTTP, for instance http://otel:4318. The other OTEL_… variables "
    "of OpenTelemetry are heeded, too. Needs requirements/observability.txt.",
)

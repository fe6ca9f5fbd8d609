"""Traces of requests and background tasks to a collector, as OpenTelemetry has them.

A task belongs to the trace of the request that asked for it: Celery's messages carry `traceparent`. Messages
in NATS do not: they are for workers of other people.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from django.conf import settings

from ami.base.logs import masked
from config.observability.packages import is_installed


def start_tracing(role: str, exporter: Any = None) -> bool:
    """Send traces from now on, if a collector is set; whether one is. `exporter`: one of your own."""
    wanted = exporter is not None or settings.OTEL_EXPORTER_OTLP_ENDPOINT
    if not wanted or not is_installed("opentelemetry.sdk"):  # a system check has said so
        return False
    from opentelemetry import trace  # noqa: PLC0415 - optional, like all of these
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415
    from opentelemetry.instrumentation.celery import CeleryInstrumentor  # noqa: PLC0415
    from opentelemetry.instrumentation.django import DjangoInstrumentor  # noqa: PLC0415
    from opentelemetry.sdk.resources import Resource  # noqa: PLC0415
    from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
    from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415

    os.environ.setdefault("OTEL_EXPORTER_OTLP_ENDPOINT", settings.OTEL_EXPORTER_OTLP_ENDPOINT)
    os.environ.setdefault("OTEL_PYTHON_DJANGO_EXCLUDED_URLS", "livez,readyz,metrics")
    name = os.environ.get("OTEL_SERVICE_NAME") or f"ami-{role}"
    provider = TracerProvider(resource=Resource.create({"service.name": name}))
    sender: Any = Masking(exporter or OTLPSpanExporter())
    provider.add_span_processor(BatchSpanProcessor(sender))
    trace.set_tracer_provider(provider)
    DjangoInstrumentor().instrument()
    CeleryInstrumentor().instrument()  # type: ignore[no-untyped-call]
    return True


class Masking:
    """An exporter in front of another one, which gets spans without secrets: URLs may hold signatures."""

    def __init__(self, behind: Any) -> None:
        self._behind = behind

    def export(self, spans: Sequence[Any]) -> Any:
        """Mask, then send."""
        return self._behind.export([_masked(span) for span in spans])

    def shutdown(self) -> None:
        """The one behind ends."""
        self._behind.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """The one behind sends what it has."""
        return bool(self._behind.force_flush(timeout_millis))


def _masked(span: Any) -> Any:
    from opentelemetry.sdk.trace import Event, ReadableSpan  # noqa: PLC0415 - optional

    return ReadableSpan(
        name=span.name,
        context=span.context,
        parent=span.parent,
        resource=span.resource,
        attributes=masked(dict(span.attributes or {})),
        events=[
            Event(event.name, masked(dict(event.attributes or {})), event.timestamp) for event in span.events
        ],
        links=span.links,
        kind=span.kind,
        status=span.status,
        start_time=span.start_time,
        end_time=span.end_time,
        instrumentation_scope=span.instrumentation_scope,
    )

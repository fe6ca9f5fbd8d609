"""Errors to Sentry and traces to a collector: off by default, without secrets, clear when missing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

import pytest
from pytest_django.fixtures import Settings

from config import checks
from config.observability import start_sentry, start_tracing
from config.observability.sentry import scrub

SECRET = "amiw_abcd1234_" + "s3cr3t" * 6
LINK = "https://ami.example.org/api/v2/captures/7/file/?expires=9&signature=" + "f00d" * 10

_START = """
import json, sys
import config.wsgi
from django.test import Client
from config.observability import start_sentry, start_tracing
secret, link = sys.argv[1:]
"""
_ERROR = """
import sentry_sdk
from sentry_sdk.transport import Transport
class Kept(Transport):
    events = []
    def capture_envelope(self, envelope):
        Kept.events += [item.payload.json for item in envelope.items if item.type == "event"]
assert start_sentry(transport=Kept)
try:
    token = secret
    raise RuntimeError(f"cannot use {secret} at {link}")
except RuntimeError as error:
    sentry_sdk.set_context("call", {"authorization": "Token " + secret, "urls": [link]})
    sentry_sdk.capture_exception(error)
sentry_sdk.flush()
print(json.dumps(Kept.events))
"""
_TRACE = """
from opentelemetry import trace
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from celery import current_app
kept = InMemorySpanExporter()
assert start_tracing("web", kept)
tracer = trace.get_tracer("test")
with tracer.start_as_current_span("request", attributes={"url": link, "token": secret}) as span:
    try:
        raise RuntimeError(secret)
    except RuntimeError as error:
        span.record_exception(error)
    from celery.signals import before_task_publish
    headers = {"id": "1", "task": "jobs.save"}
    body = ((), {}, {})
    before_task_publish.send(sender="jobs.save", headers=headers, body=body, routing_key="results")
trace.get_tracer_provider().force_flush()
print(json.dumps([[json.loads(span.to_json()) for span in kept.get_finished_spans()], headers]))
"""


def run(script: str, **environment: str) -> Any:
    """What a process of its own says: both libraries change Django for good."""
    done = subprocess.run(
        [sys.executable, "-c", _START + script, SECRET, LINK],
        check=False,
        capture_output=True,
        text=True,
        env={**os.environ, "DJANGO_SETTINGS_MODULE": "config.settings.test", **environment},
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.strip().splitlines()[-1])


def test_both_are_off_unless_an_address_is_set() -> None:
    assert not start_sentry()
    assert not start_tracing("web")


def test_an_error_goes_to_sentry_without_secrets() -> None:
    (event,) = run(_ERROR, SENTRY_DSN="https://key@sentry.example.org/1")
    assert event["exception"]["values"][0]["type"] == "RuntimeError"
    text = json.dumps(event)
    assert "s3cr3t" not in text
    assert "f00df00d" not in text
    assert '"vars"' not in text


def test_requests_lose_bodies_cookies_and_signatures() -> None:
    event = {
        "request": {
            "url": LINK,
            "query_string": "signature=f00df00d&page=2",
            "cookies": {"sessionid": "x"},
            "data": {"password": "x"},
            "headers": {"Cookie": "sessionid=x", "Authorization": "Token x", "Accept": "text/html"},
        }
    }
    request = scrub(event, {})["request"]
    assert request["query_string"] == "signature=***&page=2"
    assert request["headers"] == {"Authorization": "***", "Accept": "text/html"}
    assert request.keys() == {"url", "query_string", "headers"}
    assert "f00d" not in request["url"]


def test_a_span_goes_to_the_collector_without_secrets_and_tasks_carry_its_trace() -> None:
    spans, headers = run(_TRACE)
    text = json.dumps(spans)
    assert {span["name"] for span in spans} >= {"request"}
    assert "s3cr3t" not in text
    assert "f00df00d" not in text
    (request,) = [span for span in spans if span["name"] == "request"]
    assert request["context"]["trace_id"].removeprefix("0x") in headers["traceparent"]


@pytest.mark.parametrize(
    ("name", "code"), [("SENTRY_DSN", "ami.E012"), ("OTEL_EXPORTER_OTLP_ENDPOINT", "ami.E013")]
)
def test_a_package_that_is_missing_is_said_in_a_sentence(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, name: str, code: str
) -> None:
    setattr(settings, name, "https://key@collector.example.org/1")
    assert checks.check_observability() == []
    monkeypatch.setattr(checks, "is_installed", lambda _package: False)
    (message,) = checks.check_observability()
    assert message.id == code
    assert name in message.msg
    assert "requirements/observability.txt" in str(message.hint)

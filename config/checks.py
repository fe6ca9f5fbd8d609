"""System checks: settings that make no sense are refused at start, with a sentence that says what to do."""

from __future__ import annotations

import sys
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning, run_checks
from django.core.exceptions import ImproperlyConfigured

from config.declare import DECLARED, is_given
from config.metrics.access import SHORTEST_TOKEN
from config.observability.packages import is_installed

FIRST_FREE_PORT = 1024
BOOT_ERROR = 3
"""The exit code by which gunicorn knows that starting another process would not help."""


def check_declared(**_: Any) -> list[CheckMessage]:
    """Every declared setting has a sensible value."""
    return [
        Error(
            "A setting has a secret value of the wrong kind." if setting.secret else setting.problem,
            hint=f"Set the environment variable {setting.name} ({setting.kind}): {setting.meaning}",
            id="ami.E001",
        )
        for setting in DECLARED.values()
        if setting.problem
    ]


def check_times(**_: Any) -> list[CheckMessage]:
    """Times that depend on each other fit."""
    found: list[CheckMessage] = []
    operation = settings.NATS_OPERATION_TIMEOUT
    lease = settings.NATS_TASK_TTR
    if lease < 2 * operation:
        found.append(
            Error(
                f"The lease (NATS_TASK_TTR, {lease:g} s) is shorter than two queue calls of {operation:g} s.",
                hint="Raise NATS_TASK_TTR to at least twice NATS_OPERATION_TIMEOUT; 300 s is a good lease.",
                id="ami.E002",
            )
        )
    longest = lease * settings.NATS_MAX_DELIVER
    if longest >= settings.MEDIA_LINK_SECONDS:
        found.append(
            Error(
                f"Links to images end after {settings.MEDIA_LINK_SECONDS} s, but an image may be out with "
                f"workers for {longest:g} s.",
                hint="Raise MEDIA_LINK_SECONDS above NATS_TASK_TTR times NATS_MAX_DELIVER.",
                id="ami.E003",
            )
        )
    pushing = settings.DISPATCH_SLICE_SECONDS + settings.PUSH_REQUEST_SECONDS
    if pushing > settings.CELERY_TASK_SOFT_TIME_LIMIT:
        found.append(
            Error(
                f"A slice of pushing may take {pushing:g} s, but Celery ends a task after "
                f"{settings.CELERY_TASK_SOFT_TIME_LIMIT} s.",
                hint="Lower PUSH_REQUEST_SECONDS, or DISPATCH_SLICE_SECONDS with it.",
                id="ami.E007",
            )
        )
    visibility = settings.CELERY_BROKER_TRANSPORT_OPTIONS["visibility_timeout"]
    if visibility <= settings.CELERY_TASK_TIME_LIMIT:
        found.append(
            Warning(
                f"The broker hands a task to another worker after {visibility} s, but a task may run for "
                f"{settings.CELERY_TASK_TIME_LIMIT} s.",
                hint="Raise CELERY_VISIBILITY_TIMEOUT above the longest task; 300 s is a good value.",
                id="ami.W001",
            )
        )
    return found


def check_deployment(**_: Any) -> list[CheckMessage]:
    """A server that strangers reach has a secret key, knows its own name, and says where its data is."""
    if settings.DEBUG:
        return []
    found: list[CheckMessage] = []
    if len(_secret_key()) < 32:
        found.append(
            Error(
                "The secret key is missing or short; sessions and links to images could be forged.",
                hint="Set DJANGO_SECRET_KEY (or DJANGO_SECRET_KEY_FILE) to at least 32 random characters.",
                id="ami.E004",
            )
        )
    if not settings.ALLOWED_HOSTS:
        found.append(
            Error(
                "No host name is allowed, so every request would be refused.",
                hint="Set DJANGO_ALLOWED_HOSTS to the host names of this server, separated by commas.",
                id="ami.E005",
            )
        )
    if not is_given("DATABASE_URL"):
        found.append(
            Warning(
                "DATABASE_URL is not set; the server looks for Postgres on its own machine.",
                hint="Set DATABASE_URL (or DATABASE_URL_FILE), for instance postgresql://user@host/ami.",
                id="ami.W002",
            )
        )
    return found


def check_metrics(**_: Any) -> list[CheckMessage]:
    """What opens /metrics is no invitation to everybody."""
    found: list[CheckMessage] = []
    if 0 < len(settings.METRICS_TOKEN) < SHORTEST_TOKEN:
        found.append(
            Error(
                f"METRICS_TOKEN is shorter than {SHORTEST_TOKEN} characters; it could be guessed.",
                hint="Set it to something long and random, or leave it empty.",
                id="ami.E008",
            )
        )
    everybody = [network for network in settings.METRICS_NETWORKS if network.endswith("/0")]
    if everybody:
        found.append(
            Error(
                f"METRICS_NETWORKS lets everybody read /metrics: {', '.join(everybody)}.",
                hint="Name the network of your Prometheus, or set METRICS_TOKEN instead.",
                id="ami.E009",
            )
        )
    if settings.METRICS_PORT and settings.METRICS_PORT < FIRST_FREE_PORT:
        found.append(
            Error(
                f"METRICS_PORT is {settings.METRICS_PORT}; ports below {FIRST_FREE_PORT} need root.",
                hint="Choose one above, such as 9464, or 0 for none.",
                id="ami.E010",
            )
        )
    return found


def check_email(**_: Any) -> list[CheckMessage]:
    """A mail server that is named is named so that one can find it."""
    if not settings.EMAIL_URL or settings.EMAIL_ENABLED:
        return []
    return [
        Error(
            "EMAIL_URL is not the address of a mail server.",
            hint="For instance smtp+tls://user:password@mail.example.org:587; leave it empty for no e-mail.",
            id="ami.E011",
        )
    ]


def check_observability(**_: Any) -> list[CheckMessage]:
    """What errors and traces are to be sent with is installed."""
    wanted = {
        "SENTRY_DSN": (settings.SENTRY_DSN, "sentry_sdk", "ami.E012"),
        "OTEL_EXPORTER_OTLP_ENDPOINT": (
            settings.OTEL_EXPORTER_OTLP_ENDPOINT,
            "opentelemetry.exporter.otlp.proto.http",
            "ami.E013",
        ),
    }
    return [
        Error(
            f"{name} is set, but the Python package for it ({package.partition('.')[0]}) is not installed.",
            hint="pip install -r requirements/observability.txt, or build the image with "
            f"--build-arg OBSERVABILITY=1; or unset {name}.",
            id=code,
        )
        for name, (value, package, code) in wanted.items()
        if value and not is_installed(package)
    ]


def check_chaos(**_: Any) -> list[CheckMessage]:
    """Nobody may break things on purpose on a server; for `check --deploy`."""
    if settings.DEBUG or not settings.CHAOS_ENABLED:
        return []
    return [
        Error(
            "CHAOS_ENABLED is on: manage.py chaos_monkey may delete queues and kill processes here.",
            hint="Unset CHAOS_ENABLED, unless this server is there to be broken.",
            id="ami.E006",
        )
    ]


def _secret_key() -> str:
    try:
        return str(settings.SECRET_KEY)
    except ImproperlyConfigured:  # Django's word for an empty one
        return ""


def refuse_nonsense() -> None:
    """End the process with every serious problem in a sentence; servers call this before they serve."""
    serious = [message for message in run_checks() if message.is_serious()]
    if serious:
        sys.stderr.write("\n".join(["AMI does not start like this:", *map(str, serious), ""]))
        sys.exit(BOOT_ERROR)

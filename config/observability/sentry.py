"""Errors to Sentry: no bodies, no cookies, no values of variables, and everything else through our mask."""

from __future__ import annotations

from typing import Any

from django.conf import settings

from ami.base.logs import masked
from config.observability.packages import is_installed


def start_sentry(**more: Any) -> bool:
    """Send errors from now on, if SENTRY_DSN is set; whether it is. `more`: options of sentry_sdk.init."""
    if not settings.SENTRY_DSN or not is_installed("sentry_sdk"):  # a system check has said so
        return False
    import sentry_sdk  # noqa: PLC0415 - optional

    options: dict[str, Any] = {
        "dsn": settings.SENTRY_DSN,
        "environment": settings.SENTRY_ENVIRONMENT,
        "send_default_pii": False,
        "include_local_variables": False,
        "max_request_body_size": "never",
        "before_send": scrub,
        "before_breadcrumb": scrub,
        "shutdown_timeout": 2,
    }
    sentry_sdk.init(**{**options, **more})
    return True


def scrub(event: dict[str, Any], _hint: dict[str, Any]) -> dict[str, Any]:
    """The event without what nobody else may know."""
    request = event.get("request")
    if isinstance(request, dict):
        for part in ("cookies", "data", "env"):
            request.pop(part, None)
        if isinstance(request.get("headers"), dict):
            request["headers"].pop("Cookie", None)
        if isinstance(request.get("query_string"), str):
            request["query_string"] = masked("?" + request["query_string"]).removeprefix("?")
    clean: dict[str, Any] = masked(event)
    return clean

"""Counts requests, by the name of their address: names are few, whatever strangers ask for."""

from __future__ import annotations

import time
from collections.abc import Callable

from django.http import HttpRequest
from django.http.response import HttpResponseBase

from ami.base.metrics.counted import REQUEST_SECONDS, REQUESTS

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
NOWHERE = "(none)"
"""Addresses that there are not, static files, and requests that were turned away before."""


class RequestMetricsMiddleware:
    """Goes before everything but probes. Costs a few microseconds (docs/adr/0015)."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Answer, and count the answer."""
        began = time.perf_counter()
        response = self.get_response(request)
        seconds = time.perf_counter() - began
        match = request.resolver_match
        view = (match.view_name or NOWHERE) if match is not None else NOWHERE
        method = request.method if request.method in METHODS else "OTHER"
        REQUESTS.inc(view, str(method), str(response.status_code))
        REQUEST_SECONDS.observe(seconds, view)
        return response

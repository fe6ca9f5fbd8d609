"""The page itself: the state of the system, and what all processes counted."""

from __future__ import annotations

import socket

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.views.decorators.cache import never_cache

from ami.base.metrics.rendering import CONTENT_TYPE, render
from ami.jobs.metrics.snapshot import as_samples, current
from config.metrics.access import may_read

CLOSED = "Closed. Show the token of METRICS_TOKEN (Authorization: Bearer …), or call from METRICS_NETWORKS.\n"


@never_cache
def metrics(request: HttpRequest) -> HttpResponse:
    """Everything in Prometheus' text format; 401 for strangers."""
    headers = request.headers
    forwarded = any(name in headers for name in ("X-Forwarded-For", "Forwarded", "X-Real-Ip"))
    if not may_read(
        headers.get("Authorization", ""), request.META.get("REMOTE_ADDR", ""), forwarded=forwarded
    ):
        answer = HttpResponse(CLOSED, status=401, content_type="text/plain")
        answer["WWW-Authenticate"] = "Bearer"
        return answer
    page = render(as_samples(current()), settings.METRICS_DIR, host=socket.gethostname())
    return HttpResponse(page, content_type=CONTENT_TYPE)

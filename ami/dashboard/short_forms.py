"""Nobody makes the server read a long body before it knows who sends it.

Django looks into the body of every POST for the token of the form, whatever view it is for, and bodies may be
as long as the results of wide category maps are. The API has limits of its own, and whoever is in the admin
may upload pictures there.
"""

from __future__ import annotations

from collections.abc import Callable

from django.conf import settings
from django.contrib.auth import SESSION_KEY
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase


class ShortFormMiddleware:
    """Refuses bodies longer than WORKER_CALL_MAX_KB on pages, and on the log-in of the admin."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        """Keep the rest of the chain."""
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Serve the request, or answer 413 without reading its body."""
        most: int = settings.WORKER_CALL_MAX_BYTES
        if _length(request) > most and _is_page(request):
            sentence = f"The body is longer than the {most // 1024} kB that a form may have here."
            return HttpResponse(sentence, "text/plain", status=413)
        return self.get_response(request)


def _length(request: HttpRequest) -> int:
    text = request.META.get("CONTENT_LENGTH") or "0"
    return int(text) if text.isascii() and text.isdigit() else 0  # Django takes others for 0 as well


def _is_page(request: HttpRequest) -> bool:
    path, admin = request.path_info, f"/{settings.ADMIN_URL}"
    if path.startswith("/api/"):
        return False
    return path == f"{admin}login/" or not path.startswith(admin) or SESSION_KEY not in request.session

"""Answers of last resort: JSON under `/api/`, Django's own pages elsewhere."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponseBase, JsonResponse
from django.views import defaults


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponseBase:
    """400: the request itself is broken."""
    return _json(request, 400, "The request is malformed.") or defaults.bad_request(request, exception)


def forbidden(request: HttpRequest, exception: Exception) -> HttpResponseBase:
    """403."""
    return _json(request, 403, "You do not have permission to perform this action.") or (
        defaults.permission_denied(request, exception)
    )


def not_found(request: HttpRequest, exception: Exception) -> HttpResponseBase:
    """404: no such address."""
    return _json(request, 404, "Not found.") or defaults.page_not_found(request, exception)


def server_error(request: HttpRequest, *_: Any) -> HttpResponseBase:
    """500: nobody foresaw this; the traceback is in the log."""
    return _json(request, 500, "Something went wrong here; it has been logged.") or (
        defaults.server_error(request)
    )


def _json(request: HttpRequest, status: int, sentence: str) -> JsonResponse | None:
    if not request.path.startswith("/api/"):
        return None
    return JsonResponse({"detail": sentence}, status=status)

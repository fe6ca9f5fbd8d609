"""Addresses without a trailing slash: a write is served as if the slash were there."""

from __future__ import annotations

from collections.abc import Callable

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.urls import is_valid_path

_WRITES = frozenset({"POST", "PUT", "PATCH", "DELETE"})
_PREFIX = "/api/"


class SlashlessPostMiddleware:
    """Adds the missing slash to writes under `/api/`.

    A redirect would turn a POST into a GET in every client that we know. Reads without a slash are redirected
    by Django's CommonMiddleware, which runs after this one.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        """Keep the rest of the chain."""
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Serve the request, with the slash if that makes its address a known one."""
        path = request.path_info
        if (
            request.method in _WRITES
            and path.startswith(_PREFIX)
            and not path.endswith("/")
            and not is_valid_path(path)
            and is_valid_path(f"{path}/")
        ):
            request.path_info = f"{path}/"
            request.path = f"{request.path}/"
        return self.get_response(request)

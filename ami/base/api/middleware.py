"""What clients write in more than one way: addresses without a slash, bodies without a length."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, BinaryIO, cast

from django.conf import settings
from django.core.exceptions import RequestDataTooBig
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


class ChunkedBodyMiddleware:
    """Lets bodies without a declared length (`Transfer-Encoding: chunked`) under `/api/` be read at all.

    Django and REST framework take a body without a length for none. Only where the server in front of us says
    that it ends the body itself, which gunicorn does.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        """Keep the rest of the chain."""
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Serve the request, with a stream that ends where the largest body would."""
        if (
            request.path_info.startswith(_PREFIX)
            and "chunked" in request.META.get("HTTP_TRANSFER_ENCODING", "").lower()
            and request.META.get("wsgi.input_terminated")
        ):
            capped = _CappedStream(request.META["wsgi.input"], settings.DATA_UPLOAD_MAX_MEMORY_SIZE)
            request._stream = cast("BinaryIO", capped)  # Django's own ends after 0 bytes
            request.META["CONTENT_LENGTH"] = _UNKNOWN
        return self.get_response(request)


_UNKNOWN = "-1"
"""REST framework looks no further at 0."""


class _CappedStream:
    """A stream that refuses to give more than `limit` bytes."""

    def __init__(self, stream: Any, limit: int) -> None:
        self._stream = stream
        self._left = limit

    def read(self, size: int = -1, /) -> bytes:
        wanted = self._left + 1 if size < 0 else min(size, self._left + 1)
        data: bytes = self._stream.read(wanted)
        self._left -= len(data)
        if self._left < 0:
            raise RequestDataTooBig("The body is longer than DJANGO_DATA_UPLOAD_MAX_MEMORY_MB.")
        return data

    def close(self) -> None:
        """Django closes what it has read whole; the server behind it still needs its own."""

"""Requests are read as UTF-8, whatever charset they name.

Django decodes the query string with the charset of the body, and takes any codec for one: `base64` or `idna`
end in a traceback before there is a request that somebody could answer.
"""

from __future__ import annotations

import django
from django.core.handlers.asgi import ASGIHandler, ASGIRequest
from django.core.handlers.wsgi import WSGIHandler, WSGIRequest


class _ReadAsUtf8:
    """Goes before a request class of Django's."""

    @property
    def encoding(self) -> str | None:
        """None: the default, which is UTF-8."""
        return None

    @encoding.setter
    def encoding(self, value: str) -> None:
        """Not heeded."""


class _WsgiRequest(_ReadAsUtf8, WSGIRequest):
    pass


class _AsgiRequest(_ReadAsUtf8, ASGIRequest):
    pass


class _WsgiHandler(WSGIHandler):
    request_class = _WsgiRequest


class _AsgiHandler(ASGIHandler):
    request_class = _AsgiRequest


def wsgi_application() -> WSGIHandler:
    """What Django's `get_wsgi_application` makes, with such requests."""
    django.setup(set_prefix=False)
    return _WsgiHandler()


def asgi_application() -> ASGIHandler:
    """What Django's `get_asgi_application` makes, with such requests."""
    django.setup(set_prefix=False)
    return _AsgiHandler()

"""What all pages have in common: what may be asked of them, and what a browser may load and run for them."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Concatenate, ParamSpec

from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_http_methods, require_safe

P = ParamSpec("P")

POLICY = (
    "default-src 'none'; script-src 'self'; connect-src 'self'; style-src 'self'; "
    "img-src 'self' data: http: https:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
"""Pictures may come from anywhere, for stations keep them where they like; all else from here only."""


def page(
    view: Callable[Concatenate[HttpRequest, P], HttpResponse],
) -> Callable[Concatenate[HttpRequest, P], HttpResponse]:
    """Mark a view as a page: GET and HEAD only, and with the content security policy."""

    @wraps(view)
    def wrapped(request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponse:
        return guarded(view(request, *args, **kwargs))

    return answering("GET", view=require_safe(wrapped))


def form_page(
    view: Callable[Concatenate[HttpRequest, P], HttpResponse],
) -> Callable[Concatenate[HttpRequest, P], HttpResponse]:
    """The same for a page that takes a form: POST, too. Django checks that the form is ours."""

    @wraps(view)
    def wrapped(request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponse:
        return guarded(view(request, *args, **kwargs))

    return answering("GET", "POST", view=require_http_methods(["GET", "HEAD", "POST"])(wrapped))


def answering(
    *methods: str, view: Callable[Concatenate[HttpRequest, P], HttpResponse]
) -> Callable[Concatenate[HttpRequest, P], HttpResponse]:
    """The view with a note of the methods that it answers, for the table of who may do what."""
    view.methods = methods  # type: ignore[attr-defined]
    return view


def guarded(response: HttpResponse) -> HttpResponse:
    """The response with the policy."""
    response.headers["Content-Security-Policy"] = POLICY
    return response

"""The moving parts of pages, answered before everything else that a request usually goes through.

An open page asks every few seconds, and a hundred may be open: so no session, no person and no permission is
looked up for each of them (`ami.dashboard.live.passes`), and what has not changed is not sent.
"""

from __future__ import annotations

from collections.abc import Callable

from django.db import DatabaseError
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.urls import ResolverMatch

from ami.dashboard.live.passes import PREFIX, read
from ami.dashboard.live.shared import Fragment
from ami.dashboard.pages import guarded
from ami.dashboard.views import job, jobs, overview, workers

NO_CONTENT = 204

Look = Callable[[int, str], Fragment | None]
"""From a person's number and what the pass names to what the page shows; None if it is not there for them."""

KINDS: dict[str, Look] = {
    "job": job.follow,
    "jobs": jobs.follow,
    "overview": overview.follow,
    "workers": workers.follow,
}


class LiveMiddleware:
    """Answers what begins with `/live/`; everything else goes on."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        """As Django wants it."""
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """The moving part, or what all others answer."""
        if not request.path_info.startswith(PREFIX):
            return self._get_response(request)
        request.resolver_match = _NAMED  # as if an address had led here, for those who count requests
        response = guarded(_answer(request))
        if response.status_code != NO_CONTENT:  # what tells the length otherwise comes later in the chain
            response.headers["Content-Length"] = str(len(response.content))
        return response


def _answer(request: HttpRequest) -> HttpResponse:
    if request.method != "GET":
        return HttpResponse(status=405, headers={"Allow": "GET"})
    ticket = read(request.path_info)
    try:
        look = KINDS.get(ticket.kind) if ticket else None
        live = look(ticket.user, ticket.what) if ticket and look else None
    except DatabaseError:
        return HttpResponse("The database does not answer.", status=503)
    if live is None:
        return HttpResponse("This page is to be loaded anew.", status=410)
    response = (
        HttpResponse(status=NO_CONTENT) if request.GET.get("seen") == live.mark else HttpResponse(live.html)
    )
    response.headers["Cache-Control"] = "no-store"
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["X-Mark"] = live.mark
    return response


_NAMED = ResolverMatch(_answer, (), {}, url_name="live", app_names=["dashboard"], namespaces=["dashboard"])

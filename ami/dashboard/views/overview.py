"""The first page of somebody who is logged in: how everything stands."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.template.loader import render_to_string
from django.urls import reverse

from ami.dashboard.live.overview import look_around
from ami.dashboard.live.passes import Pass, issue
from ami.dashboard.live.reach import Reach, believed_reach, reach_of
from ami.dashboard.live.shared import Fragment, fragment, shared
from ami.dashboard.pages import page

FRESH_SECONDS = 2.0


@page
def home(request: HttpRequest) -> HttpResponse:
    """To the overview, or without a log-in to the projects."""
    name = "overview" if request.user.is_authenticated else "projects"
    return HttpResponseRedirect(reverse(f"dashboard:{name}"))


@page
def overview(request: HttpRequest) -> HttpResponse:
    """Jobs under way, workers that are there, and what was done in the last hour."""
    context = {
        "live": _view(reach_of(request.user)),
        "address": issue(Pass("overview", request.user.pk or 0)),
    }
    return render(request, "dashboard/overview.html", context)


def follow(user_id: int, _what: str) -> Fragment:
    """The moving part of the page."""
    return _view(believed_reach(user_id))


def _view(reach: Reach) -> Fragment:
    def make() -> Fragment:
        context = {"view": look_around(reach.visible, reach.inner)}
        return fragment(render_to_string("dashboard/_overview_live.html", context))

    return shared(f"live:overview:{reach.key}", make, seconds=FRESH_SECONDS)

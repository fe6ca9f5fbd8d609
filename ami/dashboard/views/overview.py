"""The first page of somebody who is logged in: how everything stands."""

from __future__ import annotations

import hashlib

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.template.loader import render_to_string
from django.urls import reverse

from ami.dashboard.live.overview import look_around
from ami.dashboard.live.shared import Fragment, fragment, shared
from ami.dashboard.pages import page
from ami.dashboard.reach import visible_ids
from ami.dashboard.views.job import live_response
from ami.dashboard.views.workers import inner_projects

FRESH_SECONDS = 2.0


@page
def home(request: HttpRequest) -> HttpResponse:
    """To the overview, or without a log-in to the projects."""
    name = "overview" if request.user.is_authenticated else "projects"
    return HttpResponseRedirect(reverse(f"dashboard:{name}"))


@page
def overview(request: HttpRequest) -> HttpResponse:
    """Jobs under way, workers that are there, and what was done in the last hour."""
    context = {"live": _view(request), "address": reverse("dashboard:overview-live")}
    return render(request, "dashboard/overview.html", context)


@page
def overview_live(request: HttpRequest) -> HttpResponse:
    """The moving part of the page."""
    return live_response(request, _view(request))


def _view(request: HttpRequest) -> Fragment:
    visible = visible_ids(request)
    inner = inner_projects(request, visible)

    def make() -> Fragment:
        context = {"view": look_around(visible, inner)}
        return fragment(render_to_string("dashboard/_overview_live.html", context))

    reach = hashlib.blake2b(f"{visible} {inner}".encode(), digest_size=16).hexdigest()
    return shared(f"live:overview:{reach}", make, seconds=FRESH_SECONDS)

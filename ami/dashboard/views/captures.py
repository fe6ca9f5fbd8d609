"""A grid of captures: those of a set, or of a station."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse

from ami.dashboard.findings import taxa_on
from ami.dashboard.forms import CaptureFilter
from ami.dashboard.offers import offer_of
from ami.dashboard.pages import page
from ami.dashboard.reach import find, may_start
from ami.dashboard.scopes import Scope, scope_of_set, scope_of_station
from ami.dashboard.tiles import tiles_of
from ami.dashboard.walking import Page, walk
from ami.main.models import Deployment, Project, SourceImageCollection


@page
def capture_set(request: HttpRequest, pk: int) -> HttpResponse:
    """The captures of a set."""
    found = find(request, SourceImageCollection.objects.select_related("project"), pk)
    form = CaptureFilter(request.GET, Deployment.objects.filter(project_id=found.project_id))
    scope = scope_of_set(found, form.station if form.is_valid() else None)
    context = {
        "project": found.project,
        "kind": "Capture set",
        "place": found,
        "start": _start(request, found.project, f"set={found.pk}"),
        "offer": offer_of(request, found.project_id, set_id=found.pk),
    }
    return _grid(request, form, scope, context)


@page
def station(request: HttpRequest, pk: int) -> HttpResponse:
    """The captures of a station."""
    found = find(request, Deployment.objects.select_related("project"), pk)
    form = CaptureFilter(request.GET)
    return _grid(
        request,
        form,
        scope_of_station(found),
        {
            "project": found.project,
            "kind": "Station",
            "place": found,
            "start": _start(request, found.project, f"station={found.pk}"),
        },
    )


def _start(request: HttpRequest, project: Project, query: str) -> str:
    """Where a job over these captures is started; empty for who may not."""
    return f"{reverse('dashboard:start', args=[project.pk])}?{query}" if may_start(request, project) else ""


def _grid(request: HttpRequest, form: CaptureFilter, scope: Scope, context: dict[str, Any]) -> HttpResponse:
    """The page; the number of statements does not depend on what is on it."""
    shown = Page([])
    if form.is_valid():
        chosen = form.cleaned_data
        shown = walk(scope, form.conditions, before=chosen["before"], after=chosen["after"])
    taxa = taxa_on([capture.pk for capture in shown.captures])
    context |= {"form": form, "scope": scope, "page": shown, "tiles": tiles_of(shown.captures), "taxa": taxa}
    context["narrowed"] = any(request.GET.get(name) for name in ("station", "show", "taxon", "score"))
    return render(request, "dashboard/captures.html", context, status=200 if form.is_valid() else 400)

"""The list of projects, and the page of one."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from ami.dashboard import counts
from ami.dashboard.offers import offer_of
from ami.dashboard.pages import page
from ami.dashboard.reach import find_project, may_start, projects_of
from ami.dashboard.tiles import tiles_of
from ami.main.models import Deployment, SourceImage, SourceImageCollection
from ami.main.related import count_of

SHOWN = 500
"""Stations and sets on the page of a project."""
NEWEST = 6
"""Captures on top of it."""


@page
def projects(request: HttpRequest) -> HttpResponse:
    """Every project that the person may see."""
    shown = list(
        projects_of(request).annotate(stations=count_of(Deployment.objects.all(), "project", of="pk"))
    )
    captures = counts.captures_by_project([each.pk for each in shown])
    rows = [{"project": each, "captures": captures[each.pk]} for each in shown]
    return render(request, "dashboard/projects.html", {"rows": rows})


@page
def project(request: HttpRequest, pk: int) -> HttpResponse:
    """The stations and capture sets of a project, and its newest captures."""
    found = find_project(request, pk)
    stations = list(
        Deployment.objects.filter(project=found).select_related("research_site", "device")[: SHOWN + 1]
    )
    sets = list(SourceImageCollection.objects.filter(project=found).order_by("-pk")[: SHOWN + 1])
    of_station = counts.captures_by_station([each.pk for each in stations])
    of_project = counts.captures_by_project([found.pk])[found.pk]
    of_set = counts.captures_by_set(sets, of_project)
    newest = (
        SourceImage.objects.filter(project=found)
        .select_related("deployment", "data_source")
        .order_by("-pk")[:NEWEST]
    )
    context = {
        "tiles": tiles_of(list(newest)),
        "project": found,
        "offer": offer_of(request, pk),
        "captures": of_project,
        "stations": [{"station": each, "captures": of_station[each.pk]} for each in stations[:SHOWN]],
        "sets": [{"set": each, "captures": of_set[each.pk]} for each in sets[:SHOWN]],
        "shown": SHOWN,
        "more_stations": len(stations) > SHOWN,
        "more_sets": len(sets) > SHOWN,
        "may_start": may_start(request, found),
    }
    return render(request, "dashboard/project.html", context)

"""One capture, with what was found on it."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from ami.dashboard.boxes import MOST, boxes_on
from ami.dashboard.facts import jobs_on, moment_of, size_of
from ami.dashboard.findings import Finding, findings_on, taxa_on
from ami.dashboard.forms import BoxFilter, Context
from ami.dashboard.pages import page
from ami.dashboard.pictures import picture_of
from ami.dashboard.reach import find
from ami.dashboard.scopes import Scope, scope_of_set, scope_of_station
from ami.dashboard.walking import neighbours
from ami.main.models import SourceImage, SourceImageCollection


@page
def capture(request: HttpRequest, pk: int) -> HttpResponse:
    """The picture, its boxes, what is known of it, and the ones before and after it."""
    found = find(request, SourceImage.objects.select_related("project", "deployment", "data_source"), pk)
    form = BoxFilter(request.GET)
    boxes, more = boxes_on(found, form.names) if form.is_valid() else ([], False)
    scope = _scope(request, found)
    earlier, later = neighbours(scope, found) if scope else (None, None)
    context = {
        "capture": found,
        "picture": picture_of(found),
        "taken": moment_of(found),
        "size": size_of(found),
        "finding": findings_on([pk]).get(pk, Finding()),
        "form": form,
        "boxes": boxes,
        "more_boxes": MOST if more else 0,
        "taxa": taxa_on([pk]),
        "narrowed": any(request.GET.get(name) for name in ("taxon", "score")),
        "jobs": jobs_on(found),
        "scope": scope,
        "earlier": earlier,
        "later": later,
    }
    return render(request, "dashboard/capture.html", context, status=200 if form.is_valid() else 400)


def _scope(request: HttpRequest, capture: SourceImage) -> Scope | None:
    """The walk that the person is on: the set that the address names, else the station.

    A set that the capture has left meanwhile, or that never was of its project, is passed over.
    """
    form = Context(request.GET)
    chosen = form.cleaned_data["set"] if form.is_valid() else None
    if chosen is not None:
        sets = SourceImageCollection.objects.filter(pk=chosen, project_id=capture.project_id)
        capture_set = sets.first()
        if capture_set and _holds(capture_set, capture):
            return scope_of_set(capture_set)
    return scope_of_station(capture.deployment) if capture.deployment else None


def _holds(capture_set: SourceImageCollection, capture: SourceImage) -> bool:
    return capture_set.holds_whole_project or capture_set.images.filter(pk=capture.pk).exists()

"""The exports of a project, a new one, and what became of one."""

from __future__ import annotations

from typing import cast

from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render

from ami.base.errors import InvalidInput
from ami.dashboard.exports import exports_with_jobs, fact_of, facts_of, warnings_of
from ami.dashboard.offers import ExportForm, may_export
from ami.dashboard.pages import form_page, page
from ami.dashboard.reach import access, find, find_project
from ami.jobs.api.export_wire import may_read
from ami.jobs.exports.create import create_export
from ami.jobs.models import DataExport
from ami.main.media import base_url_of
from ami.main.models import Project
from ami.users.models import User

SHOWN = 100
LOOK_AGAIN_SECONDS = 5


@form_page
def exports(request: HttpRequest, pk: int) -> HttpResponse:
    """The exports of a project, the newest first; a POST makes one and leads to it."""
    project = find_project(request, pk)
    held = access(request)
    error = ""
    if request.method == "POST":
        if not may_export(held, pk):
            raise PermissionDenied
        made = _create(request, project)
        if isinstance(made, DataExport):
            return redirect("dashboard:export", made.pk)
        error = made
    if not may_read(held, pk):
        raise Http404
    found = list(exports_with_jobs().filter(project=project).order_by("-pk")[: SHOWN + 1])
    context = {
        "project": project,
        "facts": facts_of(found[:SHOWN]),
        "more": SHOWN if len(found) > SHOWN else 0,
        "error": error,
    }
    return render(request, "dashboard/exports.html", context, status=400 if error else 200)


@page
def export(request: HttpRequest, pk: int) -> HttpResponse:
    """One export; the page looks again by itself while that may change."""
    found = find(request, exports_with_jobs(), pk)
    if not may_read(access(request), found.project_id):
        raise Http404
    fact = fact_of(found)
    context = {
        "fact": fact,
        "project": found.project,
        "warnings": warnings_of(found),
        "seconds": LOOK_AGAIN_SECONDS if fact.is_open else 0,
    }
    return render(request, "dashboard/export.html", context)


def _create(request: HttpRequest, project: Project) -> DataExport | str:
    """The new export, or the sentence that says why there is none."""
    form = ExportForm(request.POST)
    if not form.is_valid():
        return " ".join(str(sentence) for errors in form.errors.values() for sentence in errors)
    try:
        return create_export(
            project=project,
            export_format=form.cleaned_data["format"],
            filters=form.filters,
            user=cast("User", request.user),
            base_url=base_url_of(request),
        )
    except InvalidInput as error:
        return error.message

"""The list of jobs, and starting one."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, QueryDict
from django.shortcuts import render
from django.template.loader import render_to_string
from django.urls import reverse

from ami.base.errors import AmiError
from ami.dashboard.job_forms import JobFilter, StartForm, enabled_pipelines
from ami.dashboard.live.jobs import any_live, rows_of
from ami.dashboard.live.passes import Pass, issue
from ami.dashboard.live.reach import believed_reach
from ami.dashboard.live.shared import Fragment, fragment, shared
from ami.dashboard.pages import form_page, page
from ami.dashboard.reach import find_project, may_start, projects_of
from ami.dashboard.starting import Forecast, forecast, start_job
from ami.jobs.models import Job
from ami.main.models import Project

SHOWN = 30
FRESH_SECONDS = 2.0


@page
def jobs(request: HttpRequest) -> HttpResponse:
    """Jobs of every project that the person may see, newest first."""
    form = JobFilter(request.GET, projects_of(request))
    good = form.is_valid()
    project = form.cleaned_data.get("project")
    query = request.GET.urlencode()
    context = {
        "form": form,
        "live": _rows(form, projects_of(request), query) if good else fragment(""),
        "address": issue(Pass("jobs", request.user.pk or 0, query)),
        "narrowed": any(request.GET.get(name) for name in ("project", "show", "kind", "q")),
        "startable": [each for each in _startable(request) if project is None or each == project],
    }
    return render(request, "dashboard/jobs.html", context, status=200 if good else 400)


def follow(user_id: int, what: str) -> Fragment | None:
    """The moving part of the list that the query `what` asks for; None if it cannot be understood."""
    reach = believed_reach(user_id)
    form = JobFilter(QueryDict(what), Project.objects.filter(pk__in=reach.visible))
    if not form.is_valid():
        return None
    key = hashlib.blake2b(f"{reach.key} {what}".encode(), digest_size=16).hexdigest()
    return shared(f"live:jobs:{key}", lambda: _rows(form, reach.visible, what), seconds=FRESH_SECONDS)


def _rows(form: JobFilter, projects: QuerySet[Project] | Sequence[int], query: str) -> Fragment:
    jobs = Job.objects.filter(project__in=projects).order_by("-pk")
    rows = rows_of(form.narrow(jobs), SHOWN + 1)
    shown = rows[:SHOWN]
    older = ""
    if len(rows) > SHOWN:
        further = QueryDict(query, mutable=True)
        further["before"] = str(shown[-1].job.pk)
        older = further.urlencode()
    context = {"rows": shown, "moving": any_live(shown), "older": older}
    return fragment(render_to_string("dashboard/_jobs_live.html", context))


def _startable(request: HttpRequest) -> list[Project]:
    if not request.user.is_authenticated:
        return []
    return [each for each in projects_of(request) if may_start(request, each)]


@form_page
def start(request: HttpRequest, pk: int) -> HttpResponse:
    """The form with which a job is started in a project, and starting it."""
    return _start(request, _open_to(request, pk))


def _open_to(request: HttpRequest, pk: int) -> Project:
    project = find_project(request, pk)
    if not may_start(request, project):
        raise PermissionDenied("You do not have permission to start jobs in this project.")
    return project


def _start(request: HttpRequest, project: Project) -> HttpResponse:
    if request.method != "POST":
        initial = {"capture_set": request.GET.get("set"), "station": request.GET.get("station")}
        only = list(enabled_pipelines(project)[:2])
        if len(only) == 1:
            initial["pipeline"] = str(only[0].pk)
        return _form(request, project, StartForm(None, project, initial))
    form = StartForm(request.POST, project)
    if not form.is_valid():
        return _form(request, project, form, status=400)
    user: Any = request.user
    try:
        job = start_job(project, form.cleaned_data, user)
    except AmiError as error:
        form.add_error(None, error.message)
        return _form(request, project, form, status=400)
    return HttpResponseRedirect(reverse("dashboard:job", args=[job.pk]))


def _form(request: HttpRequest, project: Project, form: StartForm, status: int = 200) -> HttpResponse:
    return render(request, "dashboard/start.html", {"project": project, "form": form}, status=status)


@page
def expected(request: HttpRequest, pk: int) -> HttpResponse:
    """What a job with the choices in the address would find; a piece of the form's page."""
    project = _open_to(request, pk)
    form = StartForm(request.GET, project)
    found: Forecast | None = None
    if form.is_valid():
        chosen = form.cleaned_data
        found = forecast(project, chosen["pipeline"], chosen["capture_set"], chosen["station"])
    context = {"forecast": found, "limit": form.cleaned_data.get("limit")}
    return render(request, "dashboard/_forecast.html", context)

"""The list of jobs, and starting one."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.template.loader import render_to_string
from django.urls import reverse

from ami.base.errors import AmiError
from ami.dashboard.job_forms import JobFilter, StartForm, enabled_pipelines
from ami.dashboard.live.jobs import any_live, rows_of
from ami.dashboard.live.shared import Fragment, fragment
from ami.dashboard.pages import form_page, page
from ami.dashboard.reach import find_project, may_start, projects_of
from ami.dashboard.starting import Forecast, forecast, start_job
from ami.dashboard.views.job import live_response
from ami.jobs.models import Job
from ami.main.models import Project

SHOWN = 30


@page
def jobs(request: HttpRequest) -> HttpResponse:
    """Jobs of every project that the person may see, newest first."""
    form = JobFilter(request.GET, projects_of(request))
    good = form.is_valid()
    project = form.cleaned_data.get("project")
    context = {
        "form": form,
        "live": _rows(request, form) if good else fragment(""),
        "address": f"{reverse('dashboard:jobs-live')}?{request.GET.urlencode()}",
        "narrowed": any(request.GET.get(name) for name in ("project", "show", "kind", "q")),
        "startable": [each for each in _startable(request) if project is None or each == project],
    }
    return render(request, "dashboard/jobs.html", context, status=200 if good else 400)


@page
def jobs_live(request: HttpRequest) -> HttpResponse:
    """The moving part of the list."""
    form = JobFilter(request.GET, projects_of(request))
    if not form.is_valid():
        raise Http404
    return live_response(request, _rows(request, form))


def _rows(request: HttpRequest, form: JobFilter) -> Fragment:
    jobs = Job.objects.filter(project__in=projects_of(request)).order_by("-pk")
    rows = rows_of(form.narrow(jobs), SHOWN + 1)
    shown = rows[:SHOWN]
    older = shown[-1].job.pk if len(rows) > SHOWN else None
    query = request.GET.copy()
    query.pop("seen", None)
    query["before"] = str(older)
    context = {"rows": shown, "moving": any_live(shown), "older": query.urlencode() if older else ""}
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

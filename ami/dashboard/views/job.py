"""The page of a job, and the part of it that follows the job by itself."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.template.loader import render_to_string
from django.urls import reverse

from ami.dashboard.live.job import look_at
from ami.dashboard.live.shared import Fragment, fragment, shared
from ami.dashboard.offers import offer_of
from ami.dashboard.pages import page
from ami.dashboard.reach import access, find, is_insider
from ami.jobs.api.running import may_run
from ami.jobs.models import Job

_NEEDED = ("pk", "project_id", "job_type_key", "source_image_single_id", "status", "run")
FRESH_SECONDS = 1.0
"""A job's view is made at most this often, however many pages are open."""


@page
def job(request: HttpRequest, pk: int) -> HttpResponse:
    """What a job is, how far it is, who works on it, and what failed."""
    found = find(request, Job.objects.select_related("project"), pk)
    insider = is_insider(request, found.project_id)
    context = {
        "job": found,
        "live": _live(found, insider=insider, runner=may_run(access(request), found)),
        "address": reverse("dashboard:job-live", args=[pk]),
        "offer": offer_of(request, found.project_id, job_id=pk) if found.pipeline_id else None,
    }
    return render(request, "dashboard/job.html", context)


@page
def job_live(request: HttpRequest, pk: int) -> HttpResponse:
    """The moving part of the page; 204 while it is as the mark in the address says."""
    found = find(request, Job.objects.only(*_NEEDED), pk)
    insider, runner = is_insider(request, found.project_id), may_run(access(request), found)
    return live_response(request, _live(found, insider=insider, runner=runner))


def live_response(request: HttpRequest, live: Fragment) -> HttpResponse:
    """A moving part, or nothing if the page has it already; never kept by a browser."""
    unchanged = request.GET.get("seen") == live.mark
    response = HttpResponse(status=204) if unchanged else HttpResponse(live.html)
    response.headers["Cache-Control"] = "no-store"
    response.headers["X-Mark"] = live.mark
    return response


def _live(job: Job, *, insider: bool, runner: bool) -> Fragment:
    """The view of this state and run: what ended is never shown to who has just begun it anew."""

    def make() -> Fragment:
        row = Job.objects.select_related("project", "pipeline", "source_image_collection", "deployment")
        view = look_at(row.get(pk=job.pk))
        context = {"view": view, "job": view.job, "insider": insider, "runner": runner}
        return fragment(render_to_string("dashboard/_job_live.html", context))

    key = f"live:job:{job.pk}:{job.run}:{job.status}:{insider:d}{runner:d}"
    return shared(key, make, seconds=FRESH_SECONDS)

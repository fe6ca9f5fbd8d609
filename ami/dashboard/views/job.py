"""The page of a job, and the part of it that follows the job by itself."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.template.loader import render_to_string

from ami.dashboard.live.job import look_at
from ami.dashboard.live.memory import remembered
from ami.dashboard.live.passes import Pass, issue
from ami.dashboard.live.reach import BELIEVED_SECONDS, person, reach_of
from ami.dashboard.live.shared import Fragment, fragment, renewed, shared
from ami.dashboard.offers import offer_of
from ami.dashboard.pages import page
from ami.dashboard.reach import access, find, is_insider
from ami.jobs.api.running import may_run
from ami.jobs.models import Job
from ami.main.api.access import Access

FRESH_SECONDS = 2.0
"""A job's view is made about this often, however many pages are open."""


@page
def job(request: HttpRequest, pk: int) -> HttpResponse:
    """What a job is, how far it is, who works on it, and what failed."""
    found = find(request, Job.objects.select_related("project"), pk)
    rights = is_insider(request, found.project_id), may_run(access(request), found)
    context = {
        "job": found,
        "live": renewed(_key(pk, rights), lambda: _look(pk, rights), seconds=FRESH_SECONDS),
        "address": issue(Pass("job", request.user.pk or 0, str(pk))),
        "offer": offer_of(request, found.project_id, job_id=pk) if found.pipeline_id else None,
    }
    return render(request, "dashboard/job.html", context)


def follow(user_id: int, what: str) -> Fragment | None:
    """The moving part of the page of job `what`; None if it is hidden from the person, or gone."""
    pk = int(what)
    try:
        rights = remembered(f"rights:{user_id}:{pk}", lambda: _rights(user_id, pk), seconds=BELIEVED_SECONDS)
        return shared(_key(pk, rights), lambda: _look(pk, rights), seconds=FRESH_SECONDS)
    except Job.DoesNotExist:  # is not remembered: the job may be new
        return None


Rights = tuple[bool, bool]
"""Whether the person may read logs and names, and whether the person may run the job."""


def _rights(user_id: int, pk: int) -> Rights:
    user = person(user_id)
    reach = reach_of(user)
    found = Job.objects.get(pk=pk, project__in=reach.visible)
    return found.project_id in reach.inner, may_run(Access(user), found)


def _key(pk: int, rights: Rights) -> str:
    insider, runner = rights
    return f"live:job:{pk}:{insider:d}{runner:d}"


def _look(pk: int, rights: Rights) -> Fragment:
    row = Job.objects.select_related("project", "pipeline", "source_image_collection", "deployment")
    view = look_at(row.get(pk=pk))
    insider, runner = rights
    context = {"view": view, "job": view.job, "insider": insider, "runner": runner}
    return fragment(render_to_string("dashboard/_job_live.html", context))

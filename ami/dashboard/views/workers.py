"""Who works: the list of workers, and the page of one. For members of the projects that they work for."""

from __future__ import annotations

from collections.abc import Collection

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.template.loader import render_to_string
from django.urls import reverse

from ami.dashboard.live.shared import Fragment, fragment
from ami.dashboard.live.workers import heard, held_by, rows_of, workers_of
from ami.dashboard.pages import page
from ami.dashboard.reach import is_insider, visible_ids
from ami.dashboard.views.job import live_response
from ami.jobs.models import JobContribution
from ami.ml.models import WorkerInstance

SHOWN = 200
JOBS_SHOWN = 30


@page
def workers(request: HttpRequest) -> HttpResponse:
    """Every worker of the projects that the person belongs to."""
    context = {"live": _rows(request), "address": reverse("dashboard:workers-live")}
    return render(request, "dashboard/workers.html", context)


@page
def workers_live(request: HttpRequest) -> HttpResponse:
    """The moving part of the list."""
    return live_response(request, _rows(request))


@page
def worker(request: HttpRequest, pk: int) -> HttpResponse:
    """What a worker is, what it holds, and what it did."""
    projects = inner_projects(request, visible_ids(request))
    found = workers_of(projects).filter(pk=pk).first()
    if found is None:
        raise Http404
    held = held_by([found])
    done = JobContribution.objects.filter(instance=found, job__project__in=projects)
    context = {
        "worker": found,
        "heard": heard(found),
        "holds": None if held is None else held.get(found.lease_key, 0),
        "contributions": list(done.select_related("job__pipeline").order_by("-job_id")[:JOBS_SHOWN]),
        "shown": JOBS_SHOWN,
    }
    return render(request, "dashboard/worker.html", context)


def inner_projects(request: HttpRequest, visible: Collection[int]) -> list[int]:
    """Of these projects those whose inside the person may see, where workers and hosts have names."""
    if not request.user.is_authenticated:
        return []
    return [project for project in visible if is_insider(request, project)]


def _rows(request: HttpRequest) -> Fragment:
    projects = inner_projects(request, visible_ids(request))
    shown: list[WorkerInstance] = list(
        workers_of(projects).order_by("-online", "-last_seen", "pk")[: SHOWN + 1]
    )
    context = {"rows": rows_of(shown[:SHOWN], projects), "more": len(shown) > SHOWN, "shown": SHOWN}
    return fragment(render_to_string("dashboard/_workers_live.html", context))

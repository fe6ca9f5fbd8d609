"""Who works: the list of workers, and the page of one. For members of the projects that they work for."""

from __future__ import annotations

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.template.loader import render_to_string

from ami.dashboard.live.passes import Pass, issue
from ami.dashboard.live.reach import Reach, believed_reach, reach_of
from ami.dashboard.live.shared import Fragment, fragment, shared
from ami.dashboard.live.workers import heard, held_by, rows_of, workers_of
from ami.dashboard.pages import page
from ami.jobs.models import JobContribution
from ami.ml.models import WorkerInstance

SHOWN = 200
JOBS_SHOWN = 30
FRESH_SECONDS = 2.0


@page
def workers(request: HttpRequest) -> HttpResponse:
    """Every worker of the projects that the person belongs to."""
    context = {
        "live": _rows(reach_of(request.user)),
        "address": issue(Pass("workers", request.user.pk or 0)),
    }
    return render(request, "dashboard/workers.html", context)


def follow(user_id: int, _what: str) -> Fragment:
    """The moving part of the list."""
    reach = believed_reach(user_id)
    return shared(f"live:workers:{reach.key}", lambda: _rows(reach), seconds=FRESH_SECONDS)


@page
def worker(request: HttpRequest, pk: int) -> HttpResponse:
    """What a worker is, what it holds, and what it did."""
    projects = reach_of(request.user).inner
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


def _rows(reach: Reach) -> Fragment:
    workers = workers_of(reach.inner).order_by("-online", "-last_seen", "pk")
    shown: list[WorkerInstance] = list(workers[: SHOWN + 1])
    rows = rows_of(shown[:SHOWN], reach.inner)
    context = {"rows": rows, "more": len(shown) > SHOWN, "shown": SHOWN}
    return fragment(render_to_string("dashboard/_workers_live.html", context))

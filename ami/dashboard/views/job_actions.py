"""The buttons of a job: run, cancel, retry, retry what failed."""

from __future__ import annotations

from collections.abc import Callable

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.urls import reverse

from ami.dashboard.actions import action, carry_out
from ami.dashboard.reach import access, find
from ami.jobs import logs
from ami.jobs.api.failure_wire import MOST_IMAGES
from ami.jobs.api.running import may_run
from ami.jobs.lifecycle.cancel import cancel_job
from ami.jobs.lifecycle.enqueue import run_job
from ami.jobs.lifecycle.requeue import requeue
from ami.jobs.models import DeadLetter, Job


@action
def run(request: HttpRequest, pk: int) -> HttpResponse:
    """Submit a job that was created, or repeat what one that ended left undone."""
    job = _own(request, pk)

    def submit() -> str:
        again = job.is_final
        run_job(job)
        word = "retry" if again else "run"
        logs.write_one(job.pk, "job.asked_on_page", f"{_by(request)} asked: {word}.", user_id=request.user.pk)
        return "What was left undone is done again." if again else "The job was submitted."

    return _done(request, pk, submit)


@action
def cancel(request: HttpRequest, pk: int) -> HttpResponse:
    """End a job now."""
    job = _own(request, pk)
    return _done(
        request,
        pk,
        lambda: (
            "The job was cancelled." if cancel_job(job.pk, by=_by(request)) else "The job had ended already."
        ),
    )


@action
def retry_failed(request: HttpRequest, pk: int) -> HttpResponse:
    """Do failed images again: all, or those that failed for the reason `code`."""
    job = _own(request, pk)
    code = request.POST.get("code", "")

    def again() -> str:
        done = requeue(job.pk, _failed_with(job, code) if code else None, by=_by(request))
        words = f"{done.images:,} image{'' if done.images == 1 else 's'} will be done again."
        return f"{words} {done.why}".strip()

    return _done(request, pk, again)


def _own(request: HttpRequest, pk: int) -> Job:
    """The job, if the person may run it. Raises a 404 if it is hidden, a 403 if it may not be run."""
    job = find(request, Job.objects.select_related("project", "pipeline"), pk)
    if not may_run(access(request), job):
        raise PermissionDenied("You do not have permission to run this job.")
    return job


def _failed_with(job: Job, code: str) -> list[int]:
    letters = DeadLetter.objects.filter(job=job, error_code=code).order_by("-failed_at", "-pk")
    return list(letters.values_list("image_id", flat=True)[:MOST_IMAGES])


def _by(request: HttpRequest) -> str:
    return f"user {request.user.pk}"


def _done(request: HttpRequest, pk: int, what: Callable[[], str]) -> HttpResponse:
    return carry_out(request, what, reverse("dashboard:job", args=[pk]))

"""What operators do with jobs: run, cancel, retry, retry failed, check their health, export.

Each goes through the lifecycle, job by job, and leaves a line in the job's log and an entry in that of the
admin.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse

from ami.base.admin import ModelAdmin
from ami.base.admin.asking import ask, go_back, is_confirmed, remember
from ami.base.admin.shown import number
from ami.base.errors import AmiError, InvalidInput
from ami.jobs import logs
from ami.jobs.admin.exports import EXPORT_ACTIONS
from ami.jobs.health.runner import run_all
from ami.jobs.lifecycle.cancel import cancel_job
from ami.jobs.lifecycle.enqueue import run_job
from ami.jobs.lifecycle.requeue import requeue
from ami.jobs.models import Job, JobTask
from ami.jobs.states import TaskState

MOST_AT_ONCE = 500
"""Jobs that one click changes: each takes some milliseconds, and somebody waits."""


class JobActions(ModelAdmin):
    """The actions on the list of jobs, and behind the buttons of a job's page."""

    actions = (
        "run_jobs",
        "cancel_jobs",
        "retry_jobs",
        "retry_failed",
        "check_health",
        *EXPORT_ACTIONS,
    )

    def has_check_permission(self, request: HttpRequest) -> bool:
        """Superusers: the checks repair jobs of all projects."""
        return bool(request.user.is_superuser)

    @admin.action(description="Run selected jobs", permissions=["change"])
    def run_jobs(self, request: HttpRequest, queryset: QuerySet[Job]) -> HttpResponse | None:
        """Submit created jobs and repeat ended ones."""
        return self._ask(request, queryset, "run", run_job)

    @admin.action(description="Cancel selected jobs …", permissions=["change"])
    def cancel_jobs(self, request: HttpRequest, queryset: QuerySet[Job]) -> HttpResponse | None:
        """End jobs that have not ended, once the operator knows how many images that costs."""
        jobs = list(queryset.order_by("pk")[: MOST_AT_ONCE + 1])
        if not is_confirmed(request) and len(jobs) <= MOST_AT_ONCE:
            what = "this job" if len(jobs) == 1 else f"these {number(len(jobs), 'job')}"
            return ask(
                self,
                request,
                jobs,
                title=f"Cancel {what}?",
                consequences=_what_cancel_costs(jobs),
                button="Yes, cancel",
            )
        by = f"user {request.user.pk}"
        return self._ask(request, queryset, "cancel", lambda job: cancel_job(job.pk, by=by))

    @admin.action(description="Retry selected jobs that have ended", permissions=["change"])
    def retry_jobs(self, request: HttpRequest, queryset: QuerySet[Job]) -> HttpResponse | None:
        """Repeat what ended jobs left undone."""
        return self._ask(request, queryset, "retry", lambda job: run_job(job) if job.is_final else None)

    @admin.action(description="Retry the failed images of selected jobs", permissions=["change"])
    def retry_failed(self, request: HttpRequest, queryset: QuerySet[Job]) -> HttpResponse | None:
        """Have what failed done again, and nothing else."""
        by = f"user {request.user.pk}"
        return self._ask(request, queryset, "retry failed", lambda job: _requeue(job, by))

    @admin.action(description="Run the health checks now", permissions=["check"])
    def check_health(self, request: HttpRequest, queryset: QuerySet[Job]) -> HttpResponse | None:
        """Every check once. They look at all jobs; those that were chosen have it in their logs."""
        reports = run_all()
        did = [
            f"{name.replace('_', ' ')}: fixed {report.fixed}, could not fix {report.unfixable}"
            for name, report in reports.items()
            if not report.is_quiet
        ]
        skipped = [name.replace("_", " ") for name, report in reports.items() if report.skipped]
        found = "; ".join(did) or "nothing to do"
        running = f" Running already elsewhere: {', '.join(skipped)}." if skipped else ""
        messages.info(request, f"Health checks ran: {found}.{running}")
        return self._ask(request, queryset, "health check", lambda _: None)

    def _ask(
        self, request: HttpRequest, jobs: QuerySet[Job], verb: str, carry_out: Callable[[Job], object]
    ) -> HttpResponse | None:
        """Do it to each job by itself; its log says who asked, and the operator hears what went wrong."""
        chosen = list(jobs[: MOST_AT_ONCE + 1])
        if len(chosen) > MOST_AT_ONCE:
            messages.error(request, f"More than {MOST_AT_ONCE} jobs at once: narrow the list first.")
            return None
        done = sum(self._do(request, job, verb, carry_out) for job in chosen)
        messages.info(request, f"{verb.capitalize()}: done for {done} of {len(chosen)} selected jobs.")
        return go_back(request)

    def _do(self, request: HttpRequest, job: Job, verb: str, carry_out: Callable[[Job], object]) -> bool:
        user = request.user.pk
        logs.write_one(job.pk, "job.asked_in_admin", f"User {user} asked in the admin: {verb}.", user_id=user)
        try:
            carry_out(job)
        except AmiError as error:
            messages.error(request, f"{job}: {error.message}")
            remember(self, request, job, f"Asked: {verb}; refused: {error.message}")
            return False
        remember(self, request, job, f"Asked: {verb}.")
        return True


def _requeue(job: Job, by: str) -> None:
    done = requeue(job.pk, by=by)
    if done.why:
        raise InvalidInput(done.why)


def _what_cancel_costs(jobs: list[Job]) -> Iterator[str]:
    """What the operator should know before."""
    going = [job for job in jobs if not job.is_final]
    if ended := len(jobs) - len(going):
        yield f"{number(ended, 'selected job')} ended already: nothing happens to what has ended."
    if not going:
        return
    left = JobTask.objects.filter(job__in=going, status=TaskState.PENDING).count()
    yield f"{number(left, 'image')} of {number(len(going), 'job')} will not be processed."
    if growing := sum(job.collected_at is None for job in going):
        yield f"{number(growing, 'job')} had not collected all captures yet; the rest will not be looked at."
    yield "Results that were accepted are still saved. A retry does later what is left undone."

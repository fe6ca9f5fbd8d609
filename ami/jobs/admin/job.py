"""Jobs in the admin."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html_join
from django.utils.safestring import SafeString

from ami.base.admin import ModelAdmin, TabularInline
from ami.base.errors import AmiError
from ami.jobs import logs
from ami.jobs.admin.exports import EXPORT_ACTIONS
from ami.jobs.lifecycle.cancel import cancel_job
from ami.jobs.lifecycle.delete import delete_job
from ami.jobs.lifecycle.enqueue import run_job
from ami.jobs.models import Job, JobStage
from ami.jobs.progress import overall

EDITABLE = ("name", "priority")
"""Everything else changes through the lifecycle only."""

_STATE = ("status", "waiting", "progress", "ledger")
_WORK = (
    "project",
    "pipeline",
    "job_type_key",
    "dispatch_mode",
    "source_image_collection",
    "source_image_single",
    "deployment",
    "limit",
    "shuffle",
    "delay",
    "created_by",
)
_TIMES = ("created_at", "updated_at", "scheduled_at", "started_at", "finished_at", "duration")
_DISPATCH = (
    "run",
    "queue_epoch",
    "collected_at",
    "published_to",
    "driver",
    "driver_until",
    "dispatch_seen",
    "diagnostics",
)
_PARTS = {
    "jobtask": "images",
    "deadletter": "dead letters",
    "attempt": "failed attempts",
    "inboxentry": "inbox",
    "joblog": "log",
}
"""Models whose rows belong to a job, and what people call them."""


class JobStageInline(TabularInline):
    """The stages of a job with their figures: a projection of the ledger, which nobody edits."""

    model = JobStage
    fields = readonly_fields = ("name", "status", "progress", "figures")
    can_delete = False

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nobody."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nobody."""
        return False

    @admin.display
    def figures(self, stage: JobStage) -> str:
        """Name and value of each."""
        return ", ".join(f"{figure['name']}: {figure['value']}" for figure in stage.params)


@admin.register(Job)
class JobAdmin(ModelAdmin):
    """Jobs: run, cancel and retry them here; create them in the API, which checks what they name."""

    list_display = (
        "id",
        "name",
        "project",
        "pipeline",
        "status",
        "progress",
        "run",
        "created_at",
        "started_at",
        "finished_at",
        "duration",
    )
    list_display_links = ("id", "name")
    list_filter = ("status", "dispatch_mode", "job_type_key", "project", "pipeline")
    list_select_related = ("project", "pipeline")
    search_fields = ("name", "project__name", "pipeline__slug")
    ordering = ("-pk",)
    inlines = (JobStageInline,)
    actions = ("run_jobs", "cancel_jobs", "retry_jobs", *EXPORT_ACTIONS)
    fieldsets = (
        (None, {"fields": (*EDITABLE, *_STATE)}),
        ("Work", {"fields": _WORK}),
        ("Times", {"fields": _TIMES}),
        ("Dispatch", {"classes": ("collapse",), "fields": _DISPATCH}),
    )
    readonly_fields = (*_STATE, *_WORK, *_TIMES, *_DISPATCH)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Job]:
        """With their stages, read at once."""
        jobs: QuerySet[Job] = super().get_queryset(request)
        return jobs.prefetch_related("stages")

    def save_model(self, request: HttpRequest, obj: Job, form: Any, change: bool) -> None:
        """Write what was edited and nothing else: the job may have moved on while somebody looked at it."""
        Job.objects.filter(pk=obj.pk).update(**{name: getattr(obj, name) for name in form.changed_data})

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Nobody: the API creates jobs."""
        return False

    @admin.display
    def progress(self, job: Job) -> str:
        """The mean of the stages."""
        return f"{overall([stage.progress for stage in job.stages.all()]):.0%}"

    @admin.display(description="waiting for")
    def waiting(self, job: Job) -> str:
        """Why nobody works on it, as the health check saw it last."""
        return job.waiting or "-"

    @admin.display(description="look into")
    def ledger(self, job: Job) -> SafeString:
        """Links to what belongs to the job."""
        return format_html_join(
            " · ",
            '<a href="{}?job__id__exact={}">{}</a>',
            ((reverse(f"admin:jobs_{model}_changelist"), job.pk, words) for model, words in _PARTS.items()),
        )

    @admin.action(description="Run selected jobs", permissions=["change"])
    def run_jobs(self, request: HttpRequest, queryset: QuerySet[Job]) -> None:
        """Submit created jobs and repeat ended ones."""
        self._ask(request, queryset, "run", run_job)

    @admin.action(description="Cancel selected jobs", permissions=["change"])
    def cancel_jobs(self, request: HttpRequest, queryset: QuerySet[Job]) -> None:
        """End jobs that have not ended."""
        self._ask(request, queryset, "cancel", lambda job: cancel_job(job.pk))

    @admin.action(description="Retry selected jobs that have ended", permissions=["change"])
    def retry_jobs(self, request: HttpRequest, queryset: QuerySet[Job]) -> None:
        """Repeat what ended jobs left undone."""
        self._ask(request, queryset, "retry", lambda job: run_job(job) if job.is_final else None)

    def _ask(
        self, request: HttpRequest, jobs: QuerySet[Job], verb: str, carry_out: Callable[[Job], object]
    ) -> None:
        """Do it to each job by itself; its log says who asked, and the operator hears what went wrong."""
        done = 0
        for job in jobs:
            user = request.user.pk
            sentence = f"User {user} asked in the admin: {verb}."
            logs.write_one(job.pk, "job.asked_in_admin", sentence, user_id=user)
            try:
                carry_out(job)
            except AmiError as error:
                messages.error(request, f"{job}: {error.message}")
            else:
                done += 1
        messages.info(request, f"{verb.capitalize()}: done for {done} of {len(jobs)} selected jobs.")

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        """The jobs alone: what hangs on them may be a million rows, and goes with them."""
        names = [str(job) for job in objs]
        forbidden = set() if self.has_delete_permission(request) else {self.opts.verbose_name}
        return names, {self.opts.verbose_name_plural: len(names)}, forbidden, []

    def delete_model(self, request: HttpRequest, obj: Job) -> None:
        """Cancel it first, and remove its queue."""
        delete_job(obj)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Job]) -> None:
        """Each by itself."""
        for job in queryset:
            delete_job(job)

"""Jobs in the admin."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.text import Truncator

from ami.base.admin import TabularInline, chosen
from ami.base.admin.buttons import Button
from ami.base.admin.shown import Tone, age, bar, label
from ami.jobs.admin.job_actions import JobActions
from ami.jobs.admin.job_page import buttons_of, context_of
from ami.jobs.lifecycle.delete import delete_job
from ami.jobs.models import Job, JobStage
from ami.jobs.progress import overall
from ami.jobs.states import JobState

EDITABLE = ("name", "priority")
"""Everything else changes through the lifecycle only."""

_STATE = ("state", "waiting", "progress", "ledger")
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
_NAMED = ("project", "pipeline", "deployment", "source_image_collection", "source_image_single", "created_by")
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

TONES: dict[JobState, Tone] = {
    JobState.PENDING: "warn",
    JobState.STARTED: "busy",
    JobState.RETRY: "busy",
    JobState.CANCELING: "warn",
    JobState.SUCCESS: "good",
    JobState.FAILURE: "bad",
}
"""The colour of each status; those that are not named are quiet."""


def failed_images(job: Job) -> int:
    """Images that failed for good, as its stages say. The stages must be read already."""
    figures = [figure for stage in job.stages.all() for figure in stage.params]
    return sum(int(figure["value"] or 0) for figure in figures if figure.get("key") == "failed")


class JobStageInline(TabularInline):
    """The stages of a job with their figures: a projection of the ledger, which nobody edits."""

    model = JobStage
    fields = readonly_fields = ("name", "status", "done", "figures")
    can_delete = False

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nobody."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nobody."""
        return False

    @admin.display
    def done(self, stage: JobStage) -> SafeString:
        """How far it is."""
        return bar(stage.progress, TONES.get(JobState(stage.status), "quiet"))

    @admin.display
    def figures(self, stage: JobStage) -> str:
        """Name and value of each."""
        return ", ".join(f"{figure['name']}: {figure['value']}" for figure in stage.params)


@admin.register(Job)
class JobAdmin(JobActions):
    """Jobs: run, cancel and retry them here; create them in the API, which checks what they name."""

    list_display = (
        "id",
        "name",
        "project",
        "pipeline",
        "state",
        "progress",
        "failures",
        "mode",
        "age",
        "run",
        "waits",
    )
    list_display_links = ("id", "name")
    list_filter = (
        "status",
        "dispatch_mode",
        "job_type_key",
        "created_at",
        chosen("project"),
        chosen("pipeline"),
    )
    search_fields = ("=id", "name", "project__name", "pipeline__slug")
    search_help_text = "The number of a job, its name, its project, or the slug of its pipeline."
    ordering = ("-pk",)
    inlines = (JobStageInline,)
    fieldsets = (
        (None, {"fields": (*EDITABLE, *_STATE)}),
        ("Work", {"fields": _WORK}),
        ("Times", {"fields": _TIMES}),
        ("Dispatch", {"classes": ("collapse",), "fields": _DISPATCH}),
    )
    readonly_fields = (*_STATE, *_WORK, *_TIMES, *_DISPATCH)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Job]:
        """With their stages and all that their pages name, read at once."""
        jobs: QuerySet[Job] = super().get_queryset(request)
        return jobs.select_related(*_NAMED).prefetch_related("stages")

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """The page of a job. NATS and Redis are asked before anything else, outside of transactions."""
        job = self.get_object(request, object_id) if request.method == "GET" else None
        shown: dict[str, Any] = {}
        if job is not None and self.has_view_or_change_permission(request, job):
            shown = context_of(job)
        return super().change_view(request, object_id, form_url, (extra_context or {}) | shown)

    def buttons(self, request: HttpRequest, row: Any) -> Iterator[Button]:
        """What makes sense now."""
        return buttons_of(row, failed_images(row))

    def save_model(self, request: HttpRequest, obj: Job, form: Any, change: bool) -> None:
        """Write what was edited and nothing else: the job may have moved on while somebody looked at it."""
        Job.objects.filter(pk=obj.pk).update(**{name: getattr(obj, name) for name in form.changed_data})

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Nobody: the API creates jobs."""
        return False

    @admin.display(description="status", ordering="status")
    def state(self, job: Job) -> SafeString:
        """Its status; nothing here changes it but the lifecycle."""
        return label(job.get_status_display(), TONES.get(JobState(job.status), "quiet"))

    @admin.display
    def progress(self, job: Job) -> SafeString:
        """The mean of the stages."""
        tone = TONES.get(JobState(job.status), "quiet")
        return bar(overall([stage.progress for stage in job.stages.all()]), tone)

    @admin.display
    def failures(self, job: Job) -> SafeString | str:
        """Images that failed for good, as the stages say; a click shows them."""
        failed = failed_images(job)
        if not failed:
            return "-"
        letters = reverse("admin:jobs_deadletter_changelist")
        return format_html(
            '<a href="{}?job__id__exact={}">{}</a>', letters, job.pk, label(f"{failed:,}", "bad")
        )

    @admin.display(description="dispatch", ordering="dispatch_mode")
    def mode(self, job: Job) -> str:
        """Who works on its images."""
        return job.get_dispatch_mode_display()

    @admin.display(ordering="created_at")
    def age(self, job: Job) -> SafeString | str:
        """Since it was created."""
        return age(job.created_at)

    @admin.display(description="waiting for")
    def waits(self, job: Job) -> str:
        """The beginning of why nobody works on it."""
        return Truncator(job.waiting).chars(60) or "-"

    @admin.display(description="waiting for")
    def waiting(self, job: Job) -> str:
        """Why nobody works on it, as the health check saw it last."""
        return job.waiting or "-"

    @admin.display(description="look into")
    def ledger(self, job: Job) -> SafeString:
        """Links to what belongs to the job."""
        links = format_html_join(
            " · ",
            '<a href="{}?job__id__exact={}">{}</a>',
            ((reverse(f"admin:jobs_{model}_changelist"), job.pk, words) for model, words in _PARTS.items()),
        )
        return format_html('<span class="house-links">{}</span>', links)

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

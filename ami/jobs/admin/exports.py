"""Exports in the admin: what was made, and its file; and the actions that export jobs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.defaultfilters import filesizeformat
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from ami.base.admin import ModelAdmin, chosen
from ami.base.admin.asking import go_back, remember
from ami.base.errors import AmiError
from ami.jobs import logs
from ami.jobs.exports.create import create_export, delete_export
from ami.jobs.models import DataExport, ExportFormat, Job
from ami.main.media import base_url_of, signed_query
from ami.users.models import User

_SHOWN = (
    "project",
    "format",
    "what",
    "user",
    "job_link",
    "status",
    "rows_written",
    "bytes",
    "download",
    "created_at",
)


@admin.register(DataExport)
class DataExportAdmin(ModelAdmin):
    """Exports: made by the API and by the actions on jobs; here they are downloaded and deleted."""

    list_display = ("id", *_SHOWN)
    list_filter = ("format", "job__status", chosen("project"), "created_at")
    list_select_related = ("project", "user", "job")
    search_fields = ("project__name", "user__name", "user__email")
    ordering = ("-pk",)
    fields = readonly_fields = (*_SHOWN, "updated_at")

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Nobody: an export is made with its job."""
        return False

    @admin.display(description="what")
    def what(self, export: DataExport) -> str:
        """Whose captures."""
        named = export.filters
        if "job_id" in named:
            return f"job {named['job_id']}"
        return f"capture set {named['collection_id']}" if "collection_id" in named else "the whole project"

    @admin.display(description="job")
    def job_link(self, export: DataExport) -> SafeString | str:
        """To the job that writes it."""
        job = _job_of(export)
        if job is None:
            return "-"
        return format_html('<a href="{}">{}</a>', reverse("admin:jobs_job_change", args=[job.pk]), job.pk)

    @admin.display
    def status(self, export: DataExport) -> str:
        """Of the job."""
        job = _job_of(export)
        return job.get_status_display() if job else "-"

    @admin.display(ordering="size")
    def bytes(self, export: DataExport) -> str:
        """Of the file."""
        return filesizeformat(export.size) if export.file else "-"

    @admin.display
    def download(self, export: DataExport) -> SafeString | str:
        """The file, if it is there."""
        if not export.file:
            return "-"
        address = reverse("api:dataexport-download", args=[export.pk])
        return format_html(
            '<a href="{}?{}">{}</a>', address, signed_query(export.signed_subject), export.filename
        )

    def delete_model(self, request: HttpRequest, obj: DataExport) -> None:
        """With its job and its file."""
        delete_export(obj)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[DataExport]) -> None:
        """Each by itself."""
        for export in queryset:
            delete_export(export)

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        """The exports alone: their jobs, whose parts may be many, go with them."""
        names = [str(export) for export in objs]
        forbidden = set() if self.has_delete_permission(request) else {self.opts.verbose_name}
        return names, {self.opts.verbose_name_plural: len(names)}, forbidden, []


def _job_of(export: DataExport) -> Job | None:
    return getattr(export, "job", None)


def _export_jobs(export_format: ExportFormat) -> Callable[..., HttpResponse | None]:
    @admin.action(description=f"Export selected jobs as {export_format.label}", permissions=["change"])
    def export_jobs(model_admin: Any, request: HttpRequest, queryset: QuerySet[Job]) -> HttpResponse | None:
        """A file for each: its captures, and what its algorithms found on them."""
        made = 0
        for job in queryset.select_related("project"):
            try:
                create_export(
                    project=job.project,
                    export_format=export_format.value,
                    filters={"job_id": job.pk},
                    user=cast("User", request.user),
                    base_url=base_url_of(request),
                )
            except AmiError as error:
                messages.error(request, f"{job}: {error.message}")
            else:
                made += 1
                words = f"export as {export_format.label}"
                logs.write_one(
                    job.pk, "job.asked_in_admin", f"User {request.user.pk} asked in the admin: {words}."
                )
                remember(model_admin, request, job, f"Asked: {words}.")
        address = reverse("admin:jobs_dataexport_changelist")
        messages.info(request, format_html('Exports began: {}. <a href="{}">See them</a>.', made, address))
        return go_back(request)

    export_jobs.__name__ = f"export_jobs_as_{export_format.value}"
    return export_jobs


EXPORT_ACTIONS = tuple(_export_jobs(export_format) for export_format in ExportFormat)
"""Actions on jobs, one a format."""

"""The ledger, failed attempts, the inbox and the log in the admin."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.db.models.functions import Length
from django.http import HttpRequest
from django.template.defaultfilters import filesizeformat

from ami.jobs.admin.filters import JobNumberFilter, WorkerFilter
from ami.jobs.admin.large import RowsOfJobsAdmin, first_line
from ami.jobs.models import Attempt, InboxEntry, JobLog, JobTask


@admin.register(JobTask)
class JobTaskAdmin(RowsOfJobsAdmin):
    """The ledger: what became of each image."""

    list_display = (
        "id",
        "job",
        "image_id",
        "status",
        "run",
        "attempt",
        "worker",
        "leased_until",
        "error_code",
        "detections",
        "finished_at",
    )
    list_filter = ("status", "error_code", JobNumberFilter, WorkerFilter)
    fields = (
        "job",
        "image_id",
        "position",
        "run",
        "status",
        "attempt",
        "released",
        "reopened",
        "leased_until",
        "not_before",
        "worker",
        "accepted_in",
        "error_code",
        "error_text",
        "detections",
        "classifications",
        "processing_ms",
        "finished_at",
    )


@admin.register(Attempt)
class AttemptAdmin(RowsOfJobsAdmin):
    """Attempts that ended badly."""

    list_display = ("id", "job", "image_id", "run", "attempt", "worker", "error_code", "reason", "created_at")
    list_filter = ("error_code", JobNumberFilter, WorkerFilter)

    @admin.display(description="error text")
    def reason(self, attempt: Attempt) -> str:
        """Its first line."""
        return first_line(attempt.error_text)


@admin.register(InboxEntry)
class InboxEntryAdmin(RowsOfJobsAdmin):
    """Results that were accepted and are not saved yet: empty most of the time."""

    list_display = ("id", "job", "size", "tries", "claimed_until", "applied_at", "created_at")
    list_filter = (JobNumberFilter, ("applied_at", admin.EmptyFieldListFilter), "created_at")
    fields = ("job", "size", "tries", "claimed_until", "in_hand", "applied_at", "created_at")

    def get_queryset(self, request: HttpRequest) -> QuerySet[InboxEntry]:
        """With the length of the body instead of the body, which can be megabytes."""
        entries: QuerySet[InboxEntry] = super().get_queryset(request)
        return entries.defer("body").annotate(body_bytes=Length("body"))

    @admin.display(description="compressed size")
    def size(self, entry: Any) -> str:
        """Of the body."""
        return filesizeformat(entry.body_bytes)


@admin.register(JobLog)
class JobLogAdmin(RowsOfJobsAdmin):
    """Log lines."""

    list_display = ("id", "created_at", "job", "level", "message")
    list_filter = ("level", JobNumberFilter, "created_at")

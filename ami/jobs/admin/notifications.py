"""What people and webhooks were told, and what could not be told yet."""

from __future__ import annotations

from django.contrib import admin
from django.db.models import F, QuerySet
from django.db.models.functions import Now
from django.http import HttpRequest

from ami.jobs.admin.large import BoundedPaginator, ReadOnlyAdmin
from ami.jobs.models import Notification, Webhook
from ami.jobs.models.notification import NotificationState


@admin.register(Notification)
class NotificationAdmin(ReadOnlyAdmin):
    """Newest first."""

    list_display = (
        "job",
        "run",
        "job_status",
        "way",
        "webhook",
        "state",
        "tries",
        "last_error",
        "created_at",
    )
    list_filter = ("state", "way", "created_at")
    list_select_related = ("job", "webhook")
    ordering = ("-created_at",)
    exclude = ("payload",)
    paginator = BoundedPaginator
    show_full_result_count = False
    actions = ("try_again",)

    @admin.action(description="Tell them again", permissions=["try"])
    def try_again(self, request: HttpRequest, queryset: QuerySet[Notification]) -> None:
        """Within seconds, and with a new row of tries."""
        due = queryset.exclude(state=NotificationState.DELIVERED)
        count = due.update(state=NotificationState.WAITING, tries=F("tries") * 0, next_try_at=Now())
        self.message_user(request, f"{count} are told again.")

    def has_try_permission(self, request: HttpRequest) -> bool:
        """Superusers."""
        return bool(request.user.is_superuser)


@admin.register(Webhook)
class WebhookAdmin(ReadOnlyAdmin):
    """Webhooks of all projects; their managers change them through the API. Addresses may be secret."""

    list_display = ("name", "project", "host", "active", "created_by", "created_at")
    list_filter = ("active",)
    list_select_related = ("project", "created_by")
    fields = ("name", "project", "host", "active", "created_by", "created_at", "updated_at")
    readonly_fields = ("host",)

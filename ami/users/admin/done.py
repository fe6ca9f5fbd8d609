"""What was done in the admin, and by whom: Django keeps it, here it is shown."""

from __future__ import annotations

from django.contrib import admin
from django.contrib.admin.models import LogEntry

from ami.base.admin import ReadOnlyAdmin


@admin.register(LogEntry)
class LogEntryAdmin(ReadOnlyAdmin):
    """Changes and actions, newest first."""

    list_display = ("action_time", "user", "content_type", "object_repr", "action_flag", "what")
    list_display_links = ("action_time",)
    list_filter = ("action_flag", "action_time")
    list_select_related = ("user", "content_type")
    search_fields = ("object_repr", "user__email", "user__name")
    search_help_text = "What it was done to, or the name or e-mail address of who did it."
    ordering = ("-action_time", "-pk")
    fields = ("action_time", "user", "content_type", "object_id", "object_repr", "action_flag", "what")

    @admin.display(description="what was done")
    def what(self, entry: LogEntry) -> str:
        """In words."""
        return entry.get_change_message()

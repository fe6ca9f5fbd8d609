"""Workers in the admin. They introduce themselves; people only look."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from ami.base.admin import ModelAdmin, chosen
from ami.ml.models import WorkerInstance


@admin.register(WorkerInstance)
class WorkerInstanceAdmin(ModelAdmin):
    """Workers by name, and when they were last heard of."""

    explanation = (
        "A worker appears here by itself when it calls for the first time, with a worker key or with the "
        "token of an account."
    )
    list_display = ("name", "works_for", "online_now", "last_seen", "hostname", "program", "rejected")
    list_filter = ("online", chosen("service"), "last_seen")
    list_select_related = ("service", "user")
    search_fields = ("name", "hostname", "service__name")
    search_help_text = "Name of a worker, its host, or its service."
    fields = (
        *("name", "works_for", "online_now", "last_seen", "hostname", "program", "platform"),
        *("rejected", "holder"),
    )

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Workers introduce themselves."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nobody edits them."""
        return False

    @admin.display(description="works for", ordering="service__name")
    def works_for(self, worker: WorkerInstance) -> str:
        """The service whose key it has, or the account whose token."""
        return str(worker.service) if worker.service else f"account {worker.user}"

    @admin.display(boolean=True, description="online", ordering="-last_seen")
    def online_now(self, worker: WorkerInstance) -> bool:
        """Whether it called a moment ago."""
        return worker.is_online

    @admin.display(description="software", ordering="software")
    def program(self, worker: WorkerInstance) -> str:
        """What it runs, in its own words."""
        return f"{worker.software} {worker.version}".strip()

"""The menu of the admin, in the words of the house. It shows what the person may see, and names no other."""

from __future__ import annotations

from typing import Any

from django.apps import apps
from django.contrib import admin
from django.http import HttpRequest
from django.urls import reverse

Entry = tuple[str, str, str]
"""A model, what people call its rows, and an icon."""

MENU: dict[str, tuple[Entry, ...]] = {
    "Jobs": (
        ("jobs.Job", "Jobs", "play_circle"),
        ("jobs.DeadLetter", "Dead letters", "report"),
        ("jobs.JobLog", "Log", "notes"),
        ("jobs.HealthReport", "Health reports", "monitor_heart"),
        ("jobs.InboxEntry", "Inbox", "inbox"),
        ("jobs.JobTask", "Images of jobs", "checklist"),
        ("jobs.Attempt", "Failed attempts", "replay"),
        ("jobs.DataExport", "Exports", "download"),
        ("jobs.Notification", "Notifications", "notifications"),
        ("jobs.Webhook", "Webhooks", "webhook"),
    ),
    "People": (
        ("users.User", "Accounts", "person"),
        ("main.ProjectMembership", "Members of projects", "group"),
        ("auth.Group", "Groups", "groups"),
        ("knox.AuthToken", "Tokens", "token"),
        ("admin.LogEntry", "What was done here", "history"),
    ),
    "Data": (
        ("main.Project", "Projects", "folder"),
        ("main.Deployment", "Deployments", "location_on"),
        ("main.Site", "Sites", "forest"),
        ("main.Device", "Devices", "photo_camera"),
        ("main.StorageSource", "Storage", "database"),
        ("main.SourceImage", "Captures", "image"),
        ("main.Event", "Sessions", "nights_stay"),
        ("main.SourceImageCollection", "Capture sets", "photo_library"),
        ("main.SourceImageUpload", "Uploads", "upload"),
        ("main.Taxon", "Taxa", "account_tree"),
    ),
    "ML": (
        ("ml.ProcessingService", "Processing services", "dns"),
        ("ml.WorkerKey", "Worker keys", "key"),
        ("ml.WorkerInstance", "Workers", "memory"),
        ("ml.Pipeline", "Pipelines", "schema"),
        ("ml.ProjectPipelineConfig", "Pipelines of projects", "toggle_on"),
        ("ml.Algorithm", "Algorithms", "function"),
        ("ml.AlgorithmCategoryMap", "Category maps", "list"),
        ("ml.Detection", "Detections", "crop_free"),
        ("ml.Classification", "Classifications", "label"),
    ),
    "Schedule": (
        ("django_celery_beat.PeriodicTask", "Periodic tasks", "schedule"),
        ("django_celery_beat.IntervalSchedule", "Intervals", "timer"),
        ("django_celery_beat.CrontabSchedule", "Crontabs", "calendar_month"),
        ("django_celery_beat.ClockedSchedule", "Points in time", "alarm"),
        ("django_celery_beat.SolarSchedule", "Sun times", "wb_twilight"),
    ),
}


def menu(request: HttpRequest) -> list[dict[str, Any]]:
    """The groups that have something to show to this person."""
    overview = {
        "title": "Pages of AMI",
        "icon": "arrow_back",
        "link": reverse("dashboard:overview"),
        "active": False,
    }
    groups: list[dict[str, Any]] = [{"title": "", "items": [overview]}]
    for title, entries in MENU.items():
        items = [_item(entry) for entry in entries if _may_see(request, entry[0])]
        if items:
            groups.append({"title": title, "separator": True, "collapsible": True, "items": items})
    return groups


def _may_see(request: HttpRequest, label: str) -> bool:
    found = admin.site._registry.get(apps.get_model(label))
    return found is not None and found.has_view_or_change_permission(request)


def _item(entry: Entry) -> dict[str, Any]:
    label, title, icon = entry
    options = apps.get_model(label)._meta
    link = reverse(f"admin:{options.app_label}_{options.model_name}_changelist")
    return {"title": title, "icon": icon, "link": link}

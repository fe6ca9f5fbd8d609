"""The schedule of Celery beat in the admin, in its look; what it can do is django-celery-beat's."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django_celery_beat import admin as beat
from django_celery_beat.models import (
    ClockedSchedule,
    CrontabSchedule,
    IntervalSchedule,
    PeriodicTask,
    SolarSchedule,
)
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextInputWidget

from ami.base.admin import ModelAdmin, TabularInline

for model in (PeriodicTask, ClockedSchedule, CrontabSchedule, IntervalSchedule, SolarSchedule):
    admin.site.unregister(model)


class TaskSelect(UnfoldAdminSelectWidget, beat.TaskSelectWidget):
    """The tasks that there are."""


class PeriodicTaskForm(beat.PeriodicTaskForm):
    """The same form with inputs of the admin's look."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["task"].widget = UnfoldAdminTextInputWidget()
        self.fields["regtask"].widget = TaskSelect()


@admin.register(PeriodicTask)
class PeriodicTaskAdmin(beat.PeriodicTaskAdmin, ModelAdmin):
    """What runs when; the checks that keep jobs healthy are among them."""

    form = PeriodicTaskForm
    date_hierarchy = None
    list_display = ("name", "enabled", "scheduler", "last_run_at", "total_run_count", "one_off")
    list_filter = ("enabled", "one_off", "task", "last_run_at")
    search_fields = ("name", "task", "description")
    actions = ("enable_tasks", "disable_tasks", "run_tasks")


class TasksInline(TabularInline):
    """The tasks of a schedule, on its page."""

    model = PeriodicTask
    fields = readonly_fields = ("name", "task", "enabled", "last_run_at")
    can_delete = False
    extra = 0
    show_change_link = True
    verbose_name_plural = "tasks of this schedule"

    def get_queryset(self, request: HttpRequest) -> QuerySet[PeriodicTask]:
        """With their schedules, which are part of their names."""
        tasks: QuerySet[PeriodicTask] = super().get_queryset(request)
        return tasks.select_related("interval", "crontab", "solar", "clocked")

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nobody: tasks choose their schedules."""
        return False


class ScheduleAdmin(ModelAdmin):
    """Times at which tasks run."""

    inlines = (TasksInline,)


@admin.register(IntervalSchedule)
class IntervalScheduleAdmin(ScheduleAdmin):
    """Every so many seconds, minutes, hours or days."""

    list_display = ("__str__", "every", "period")
    list_filter = ("period",)
    search_fields = ("=every", "period")


@admin.register(CrontabSchedule)
class CrontabScheduleAdmin(ScheduleAdmin):
    """At times of days, weeks and months."""

    list_display = ("__str__", "human_readable")
    list_filter = ("timezone",)
    search_fields = ("minute", "hour", "day_of_week", "timezone")
    fields = (
        *("human_readable", "minute", "hour", "day_of_month", "month_of_year", "day_of_week", "timezone"),
    )
    readonly_fields = ("human_readable",)


@admin.register(ClockedSchedule)
class ClockedScheduleAdmin(ScheduleAdmin):
    """Once, at a moment."""

    list_display = ("clocked_time",)
    list_filter = ("clocked_time",)
    search_fields = ("clocked_time",)
    search_help_text = "A date, or a part of it: 2026-05."


@admin.register(SolarSchedule)
class SolarScheduleAdmin(ScheduleAdmin):
    """At sunrise, noon, dusk and the like, somewhere."""

    list_display = ("event", "latitude", "longitude")
    list_filter = ("event",)
    search_fields = ("event",)

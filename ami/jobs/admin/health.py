"""What the health checks did, and a way to run one now."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest

from ami.base.admin import ReadOnlyAdmin
from ami.jobs.health.runner import CHECKS, run_check
from ami.jobs.models import HealthReport


class ResultFilter(admin.SimpleListFilter):
    """By what a run came to."""

    title = "result"
    parameter_name = "result"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """The choices."""
        return [("quiet", "nothing to do"), ("fixed", "fixed something"), ("unfixable", "could not fix")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """The reports of that kind."""
        wanted = self.value()
        if wanted == "quiet":
            return queryset.filter(fixed=0, unfixable=0)
        return queryset.filter(**{f"{wanted}__gt": 0}) if wanted in ("fixed", "unfixable") else queryset


@admin.register(HealthReport)
class HealthReportAdmin(ReadOnlyAdmin):
    """Reports, newest first; quiet runs in a row share a line."""

    list_display = ("check_name", "last_at", "runs", "checked", "fixed", "unfixable", "duration", "problem")
    list_filter = ("check_name", ResultFilter, "last_at")
    search_fields = ("check_name", "error")
    search_help_text = "The name of a check, or a part of its error."
    ordering = ("-last_at", "-pk")
    actions = ("run_again",)

    @admin.display(description="took")
    def duration(self, report: HealthReport) -> str:
        """How long the last run took."""
        return f"{report.seconds:.2f} s"

    @admin.display(description="error")
    def problem(self, report: HealthReport) -> str:
        """Its first line."""
        return report.error.partition("\n")[0][:120]

    @admin.action(description="Run these checks now", permissions=["run"])
    def run_again(self, request: HttpRequest, queryset: QuerySet[HealthReport]) -> None:
        """Each check once, however often it was selected."""
        chosen = set(queryset.values_list("check_name", flat=True).distinct().order_by())
        for name in (name for name in CHECKS if name in chosen):
            report = run_check(name)
            if report.skipped:
                messages.warning(request, f"{name}: is running already.")
            else:
                messages.info(
                    request,
                    f"{name}: checked {report.checked}, fixed {report.fixed}, unfixable {report.unfixable}.",
                )

    def has_run_permission(self, request: HttpRequest) -> bool:
        """Superusers: the checks repair jobs of all projects."""
        return bool(request.user.is_superuser)

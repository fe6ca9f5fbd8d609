"""Filters beside large lists: a value is typed in, never chosen from all that there are."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any, ClassVar

from django.contrib import admin
from django.contrib.admin.views.main import ChangeList
from django.db.models import QuerySet
from django.http import HttpRequest

from ami.base import clock
from ami.base.api.fields import parse_key


class TypedFilter(admin.SimpleListFilter):
    """Rows with exactly the value that somebody typed."""

    template = "admin/jobs/typed_filter.html"
    digits: ClassVar[bool] = False
    """Whether a number is asked for."""

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """Nothing to choose from; not empty, for a filter without choices is not shown."""
        return [("", "All")]

    def choices(self, changelist: ChangeList) -> Iterator[Any]:
        """One: the list without this filter, with what else the address says, for the form to repeat."""
        name = str(self.parameter_name)
        others = [
            (key, value)
            for key, values in changelist.filter_params.items()
            if key != name
            for value in values
        ]
        query = [("q", changelist.query)] if changelist.query else []
        yield {
            "selected": not self.value(),
            "query_string": changelist.get_query_string(remove=[name]),
            "others": others + query,
            "display": "All",
        }


class JobNumberFilter(TypedFilter):
    """Rows of one job."""

    title = "job number"
    parameter_name = "job__id__exact"
    digits = True

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """What is no number finds nothing."""
        typed = (self.value() or "").strip()
        return queryset.filter(job_id=parse_key(typed)) if typed else queryset


class WorkerFilter(TypedFilter):
    """Rows that one worker had last, by its whole name."""

    title = "last worker"
    parameter_name = "worker__exact"

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """The name as it is shown."""
        typed = (self.value() or "").strip()
        return queryset.filter(worker=typed) if typed else queryset


class FailedSinceFilter(admin.SimpleListFilter):
    """Images that failed not long ago."""

    title = "time of failure"
    parameter_name = "failed_within"
    HOURS: ClassVar[dict[str, int]] = {"1": 1, "24": 24, "168": 7 * 24, "720": 30 * 24}

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """Spans of time."""
        return [
            ("1", "Past hour"),
            ("24", "Past 24 hours"),
            ("168", "Past 7 days"),
            ("720", "Past 30 days"),
        ]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """What is none of these filters nothing."""
        hours = self.HOURS.get(self.value() or "")
        if hours is None:
            return queryset
        return queryset.filter(failed_at__gte=clock.now() - timedelta(hours=hours))

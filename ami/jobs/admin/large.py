"""The base of lists over tables that grow by a row per image: shown, never changed, never counted in full."""

from __future__ import annotations

from functools import cached_property
from typing import Any, ClassVar

from django.contrib import admin
from django.core.paginator import Paginator
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.utils.text import Truncator

from ami.base.api.fields import parse_key

MOST_COUNTED = 10_000


class BoundedPaginator(Paginator):  # type: ignore[type-arg]
    """Counts no further than MOST_COUNTED: nobody turns more pages, and counting millions takes seconds."""

    @cached_property
    def count(self) -> int:
        """How many rows there are, or MOST_COUNTED if there are more."""
        rows: Any = self.object_list
        return int(rows.order_by()[:MOST_COUNTED].count())


class ReadOnlyAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """Rows that the platform alone writes."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Nobody."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Nobody."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Nobody: they go with their job."""
        return False


class RowsOfJobsAdmin(ReadOnlyAdmin):
    """Rows that belong to a job: searched by its number, newest first, and sorted in no other way."""

    list_select_related = ("job",)
    list_display_links = ("id",)
    search_fields: ClassVar[tuple[str, ...]] = ("job",)
    search_help_text = "The number of a job."
    ordering: ClassVar[tuple[str, ...]] = ("-pk",)
    sortable_by = ()
    paginator = BoundedPaginator
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """By the job's number, which is indexed; any other text finds nothing."""
        if not search_term.strip():
            return queryset, False
        return queryset.filter(job_id=parse_key(search_term)), False


def first_line(text: str) -> str:
    """As much of a text as a list has room for."""
    return Truncator(text.partition("\n")[0]).chars(120)

"""The base of lists over tables that grow by a row per image: shown, never changed, never counted in full."""

from __future__ import annotations

from typing import Any, ClassVar

from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.text import Truncator

from ami.base.admin import ReadOnlyAdmin
from ami.base.api.fields import parse_key


class RowsOfJobsAdmin(ReadOnlyAdmin):
    """Rows that belong to a job: searched by its number, newest first, and sorted in no other way."""

    list_filter_submit = False  # typed filters are forms of their own
    list_select_related = ("job",)
    list_display_links = ("id",)
    search_fields: ClassVar[tuple[str, ...]] = ("job",)
    search_help_text = "The number of a job."
    ordering: ClassVar[tuple[str, ...]] = ("-pk",)
    sortable_by = ()

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

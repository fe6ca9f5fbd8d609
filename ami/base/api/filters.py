"""Query parameters: ordering that is stable and puts nulls last, and yes/no flags."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

import django_filters
from django import forms
from django.core.exceptions import FieldDoesNotExist
from django.db.models import F, Model, QuerySet
from django.db.models.expressions import OrderBy
from rest_framework.exceptions import ValidationError
from rest_framework.filters import OrderingFilter, SearchFilter
from rest_framework.request import Request
from rest_framework.views import APIView

_M = TypeVar("_M", bound=Model)
_Row = TypeVar("_Row")
_FALSE = frozenset({"0", "false", "False"})


MAX_SEARCH_TERMS = 20
"""Each word of a search is another condition for the database to check on every row."""


def flag(request: Request, name: str) -> bool:
    """A yes/no query parameter: its presence is a yes, unless its value is `0`, `false` or `False`."""
    value = request.query_params.get(name)
    return value is not None and value not in _FALSE


class FlagFilter(django_filters.Filter):  # type: ignore[misc]
    """A yes/no filter with the rules of `flag`; an absent parameter filters nothing."""

    field_class = forms.NullBooleanField

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Read the raw text, where an empty one still says yes."""
        kwargs.setdefault("widget", _FlagWidget)
        super().__init__(*args, **kwargs)


class _FlagWidget(forms.NullBooleanSelect):
    def value_from_datadict(self, data: Mapping[str, Any], files: Any, name: str) -> bool | None:
        value = data.get(name)
        return None if value is None else value not in _FALSE


class BoundedSearch(SearchFilter):
    """`?search=`: rows in which every word occurs."""

    def get_search_terms(self, request: Request) -> list[str]:
        """The words. Raises a 400 for too many."""
        text = request.query_params.get(self.search_param, "")
        if len(text.replace(",", " ").split()) > MAX_SEARCH_TERMS:
            raise ValidationError({self.search_param: [f"At most {MAX_SEARCH_TERMS} words, please."]})
        terms: list[str] = super().get_search_terms(request)
        return terms


class NullsLastOrdering(OrderingFilter):
    """`?ordering=[-]field,…`: rows without a value come last, equal rows keep a stable order.

    Fields that the view does not list in `ordering_fields` are ignored. The primary key always ends the
    order, so that no row is on two pages.
    """

    def filter_queryset(
        self, request: Request, queryset: QuerySet[_M, _Row], view: APIView
    ) -> QuerySet[_M, _Row]:
        """Order the rows as asked, else as the view or its model does."""
        terms: list[Any] = list(
            self.get_ordering(request, queryset, view)
            or queryset.query.order_by
            or queryset.model._meta.ordering
            or ()
        )
        names = [term for term in terms if isinstance(term, str)]
        if len(names) < len(terms):
            return queryset  # the view ordered by expressions of its own
        descending = bool(names) and names[-1].startswith("-")
        if not any(name.lstrip("-") in ("pk", "id") for name in names):
            names.append("-pk" if descending else "pk")
        return queryset.order_by(*(_nulls_last(queryset, name) for name in names))

    def get_valid_fields(
        self, queryset: QuerySet[Any], view: APIView, context: Mapping[str, Any] | None = None
    ) -> list[tuple[str, str]]:
        """Only what the view lists."""
        return [(name, name) for name in _listed(view)]


def _listed(view: APIView) -> Iterable[str]:
    fields: Iterable[str] = getattr(view, "ordering_fields", None) or ()
    return fields


def _nulls_last(queryset: QuerySet[Any], term: str) -> str | OrderBy:
    """Ascending order has nulls last by itself; descending order says so only where there can be nulls.

    Saying it of a column without nulls would cost the use of its index.
    """
    if term.startswith("-") and _may_be_null(queryset, term[1:]):
        return F(term[1:]).desc(nulls_last=True)
    return term


def _may_be_null(queryset: QuerySet[Any], path: str) -> bool:
    model: Any = queryset.model
    if path in queryset.query.annotations:
        return True
    for name in path.split("__"):
        if name == "pk":
            return False
        try:
            field = model._meta.get_field(name)
        except FieldDoesNotExist:
            return True
        if field.null:
            return True
        model = field.related_model
    return False

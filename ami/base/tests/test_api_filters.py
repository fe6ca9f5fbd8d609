"""Query parameters."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.db.models import Count, QuerySet
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.test import APIRequestFactory

from ami.base.api.fields import parse_key
from ami.base.api.filters import MAX_SEARCH_TERMS, BoundedSearch, NullsLastOrdering, flag


def request(query: str) -> Request:
    return Request(APIRequestFactory().get(f"/things/{query}"))


def order(query: str, queryset: QuerySet[Any], **view: Any) -> str:
    """The ORDER BY clause."""
    ordered = NullsLastOrdering().filter_queryset(request(query), queryset, SimpleNamespace(**view))  # type: ignore[arg-type]
    return str(ordered.query).partition("ORDER BY ")[2].replace('"', "").replace("django_admin_log.", "")


@pytest.mark.parametrize(
    ("query", "value"),
    [
        ("", False),
        ("?now", True),
        ("?now=", True),
        ("?now=1", True),
        ("?now=true", True),
        ("?now=no", True),
        ("?now=0", False),
        ("?now=false", False),
        ("?now=False", False),
    ],
)
def test_a_flag_is_on_by_its_presence_unless_it_says_no(query: str, value: bool) -> None:
    assert flag(request(query), "now") is value


@pytest.mark.parametrize(
    ("query", "clause"),
    [
        ("?ordering=object_id", "object_id ASC, id ASC"),
        ("?ordering=-object_id", "object_id DESC NULLS LAST, id DESC"),
        ("?ordering=-action_time", "action_time DESC, id DESC"),
        ("?ordering=action_time,-object_id", "action_time ASC, object_id DESC NULLS LAST, id DESC"),
        ("?ordering=-id", "id DESC"),
        ("?ordering=secret", "action_time DESC, id DESC"),
        ("?ordering=secret,object_id", "object_id ASC, id ASC"),
        ("", "action_time DESC, id DESC"),
    ],
)
def test_order_is_stable_with_nulls_last_and_unknown_fields_ignored(query: str, clause: str) -> None:
    fields = ["object_id", "action_time", "id"]
    assert order(query, LogEntry.objects.all(), ordering_fields=fields) == clause


def test_a_view_may_have_its_own_order() -> None:
    assert order("", LogEntry.objects.all(), ordering=("object_id",)) == "object_id ASC, id ASC"
    assert order("", LogEntry.objects.order_by("object_id")) == "object_id ASC, id ASC"


def test_counts_can_be_ordered_by() -> None:
    queryset = LogEntry.objects.annotate(flags=Count("action_flag"))
    assert "DESC NULLS LAST, id DESC" in order("?ordering=-flags", queryset, ordering_fields=["flags"])


@pytest.mark.parametrize(
    ("text", "key"),
    [("7", 7), (7, 7), ("-7", None), ("x", None), ("", None), (True, None), ("9" * 19, None), ("٣", None)],
)
def test_keys_are_short_plain_numbers(text: Any, key: int | None) -> None:
    assert parse_key(text) == key


@pytest.mark.parametrize("between", ["%20", ",", ",%20"])
def test_a_search_has_at_most_so_many_words(between: str) -> None:
    words = [f"w{number}" for number in range(MAX_SEARCH_TERMS + 1)]
    assert BoundedSearch().get_search_terms(request("?search=" + between.join(words[:-1]))) == words[:-1]
    for refused in (words, words * 500):
        with pytest.raises(ValidationError, match="At most 20 words"):
            BoundedSearch().get_search_terms(request("?search=" + between.join(refused)))

"""Pages."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from rest_framework.request import Request
from rest_framework.test import APIRequestFactory

from ami.base.api.pagination import Pagination


def page(query: str, view: Any = None, rows: int = 3000) -> dict[str, Any]:
    pagination = Pagination()
    request = Request(APIRequestFactory().get(f"/things/{query}"))
    results = pagination.paginate_queryset(list(range(rows)), request, view)
    data: dict[str, Any] = pagination.get_paginated_response(results).data
    return data


def test_the_envelope_has_its_keys_in_the_order_of_the_contract() -> None:
    assert list(page("")) == ["count", "next", "previous", "results", "user_permissions"]


@pytest.mark.parametrize(
    ("query", "size"),
    [
        ("", 20),
        ("?limit=7", 7),
        ("?page_size=7", 7),
        ("?limit=3&page_size=7", 3),
        ("?limit=100000", 1000),
        ("?page_size=100000", 1000),
        ("?limit=0", 20),
        ("?limit=-5", 20),
        ("?limit=many", 20),
        ("?limit=many&page_size=7", 7),
        ("?limit=" + "9" * 30, 1000),
    ],
)
def test_limit_and_page_size_are_one_thing_and_nonsense_is_the_default(query: str, size: int) -> None:
    assert len(page(query)["results"]) == size


@pytest.mark.parametrize(("query", "first"), [("?offset=40", 40), ("?offset=-1", 0), ("?offset=x", 0)])
def test_a_bad_offset_is_the_beginning(query: str, first: int) -> None:
    assert page(query)["results"][0] == first


def test_an_offset_behind_the_end_is_an_empty_page_with_the_true_count() -> None:
    answer = page("?offset=" + "9" * 30)
    assert answer["results"] == []
    assert answer["count"] == 3000


def test_a_view_has_its_own_default_and_no_other_view_notices() -> None:
    assert len(page("", SimpleNamespace(default_limit=40))["results"]) == 40
    assert len(page("")["results"]) == 20


def test_the_view_says_what_the_caller_may_do_with_the_list() -> None:
    assert page("", SimpleNamespace(envelope_permissions=lambda: ["create"]))["user_permissions"] == [
        "create"
    ]
    assert page("")["user_permissions"] == []


def test_links_lead_to_the_pages_around() -> None:
    answer = page("?page_size=10&offset=10&name=x")
    assert "limit=10" in answer["next"]
    assert "offset=20" in answer["next"]
    assert "name=x" in answer["next"]
    assert "offset" not in answer["previous"]

"""JSON in and out."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from io import BytesIO
from typing import Any

import orjson
import pytest
from pytest_django.fixtures import Settings
from rest_framework.exceptions import APIException, ParseError
from rest_framework.parsers import JSONParser
from rest_framework.request import Request
from rest_framework.test import APIRequestFactory

from ami.base.api.json import MAX_DEPTH, OrjsonParser, OrjsonRenderer


def rendered(value: Any) -> Any:
    return orjson.loads(OrjsonRenderer().render({"value": value}))["value"]


def parsed(body: bytes) -> Any:
    return OrjsonParser().parse(BytesIO(body))


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (datetime(2026, 4, 15, 12, 30, 1, 123456, UTC), "2026-04-15T12:30:01.123456Z"),
        (datetime(2026, 4, 15, 12, 30, 1, tzinfo=UTC), "2026-04-15T12:30:01.000000Z"),
        (
            datetime(2026, 4, 15, 12, 30, tzinfo=timezone(timedelta(hours=-4))),
            "2026-04-15T12:30:00.000000-04:00",
        ),
        (date(2026, 4, 15), "2026-04-15"),
    ],
)
def test_times_always_have_microseconds_and_a_zone(value: Any, text: str) -> None:
    assert rendered(value) == text


def test_durations_are_a_string_of_seconds_and_unknown_ones_null() -> None:
    assert rendered(timedelta(minutes=12, seconds=31.12)) == "751.12"
    assert rendered(None) is None


def test_numbers_that_json_cannot_say_become_null() -> None:
    assert rendered([float("nan"), float("inf"), 1.5]) == [None, None, 1.5]
    assert rendered(Decimal("1.5")) == 1.5


def test_what_nobody_can_render_is_an_error_and_not_nonsense() -> None:
    with pytest.raises(TypeError):
        OrjsonRenderer().render({"value": object()})


def test_the_browsable_api_gets_indented_json() -> None:
    assert b'\n  "value"' in OrjsonRenderer().render({"value": 1}, renderer_context={"indent": 4})


@pytest.mark.parametrize(
    "body", [b"", b"{", b'{"a": NaN}', b'{"a": "\xff"}', b'{"a": "\\ud800"}', b"{'a': 1}"]
)
def test_a_malformed_body_is_a_400_with_a_sentence(body: bytes) -> None:
    with pytest.raises(ParseError, match="not valid JSON"):
        parsed(body)


def test_nesting_is_capped_but_only_real_nesting_counts() -> None:
    deep = b"[" * MAX_DEPTH + b"]" * MAX_DEPTH
    assert parsed(deep)
    with pytest.raises(ParseError, match="nested deeper"):
        parsed(b"[" + deep + b"]")
    assert parsed(orjson.dumps({"text": "[{" * 1000, "list": [[{}]] * 1000}))["text"] == "[{" * 1000


def test_more_values_than_anybody_needs_are_refused_before_they_take_memory() -> None:
    with pytest.raises(ParseError, match="more than 4,000,000 values"):
        parsed(b"[" + b"[]," * 4_000_000 + b"[]]")
    assert len(parsed(b'["' + b"," * 2_000_000 + b'"]')) == 1


def test_a_body_above_the_limit_is_a_413_before_it_is_read(settings: Settings) -> None:
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 10
    request = Request(
        APIRequestFactory().post("/", b'{"text": "long enough"}', content_type="application/json"),
        parsers=[OrjsonParser()],
    )
    with pytest.raises(APIException) as caught:
        _ = request.data
    assert caught.value.status_code == 413


def test_it_reads_what_the_standard_parser_reads() -> None:
    body = '{"a": [1, 2.5, true, null, "ü"], "b": {"c": {}}}'.encode()
    assert parsed(body) == JSONParser().parse(BytesIO(body))

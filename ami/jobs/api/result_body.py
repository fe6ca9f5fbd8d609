"""The body of a result post, taken apart without being parsed: its items stay bytes until each is judged.

A post of 60 MB becomes hundreds of megabytes of Python objects. Here only the objects of one item exist at a
time, and no step holds up the other threads for longer than an item takes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from functools import lru_cache
from typing import IO, Any

import msgspec
import orjson
from django.conf import settings
from rest_framework.exceptions import ParseError

from ami.base.api.bodies import read_body
from ami.base.api.json import OrjsonParser, UnreadableJson, check_depth, check_richness, read_json
from ami.jobs.api.large_posts import gate
from ami.jobs.api.lenient_split import Malformed, split_leniently
from ami.jobs.lifecycle.posts import Unreadable

HELD = "held"
"""Key in the parser's context: the ExitStack that gives a large post's place and its memory back."""

CLIENT_INFO_MAX = 64 * 1024
_BEGINNING = 100
_ABSENT = msgspec.Raw()
_SOME_VALUE: dict[bytes, Any] = {b"[": [], b"{": {}, b'"': "", b"t": True, b"f": False, b"n": None}
_FRACTION = re.compile(rb"[.eE]")


class PostedItems:
    """The items of a post, in order; each is parsed when its turn comes. Safe to go through twice."""

    def __init__(self, raw: Sequence[msgspec.Raw | memoryview]) -> None:
        """Keep the bytes of each item."""
        self._raw = raw

    def __len__(self) -> int:
        """How many; never more than one above what a post may have."""
        return len(self._raw)

    def __iter__(self) -> Iterator[object]:
        """The parsed items; `Unreadable` in the place of one that is not JSON by itself."""
        return map(_parse_item, self._raw)

    def forget(self) -> None:
        """Give the memory back now: REST framework's requests are cycles, which live until they are found."""
        self._raw = ()


class ResultParser(OrjsonParser):
    """Parses a result post to `results` (`PostedItems`, if it is a list) and `client_info`; ignores the rest.

    Of what is no post at all it gives some value of the same type, for the refusal to name.
    """

    def parse(self, stream: IO[Any], media_type: str | None = None, parser_context: Any | None = None) -> Any:
        """The post. A large one takes a place until the view's ExitStack closes. Raises LargePostsFull."""
        context = parser_context or {}
        held = context.get(HELD) or ExitStack()
        body = read_body(
            stream,
            context["request"].META,
            self.limit(),
            large=settings.LARGE_POST_BYTES,
            on_large=lambda: held.enter_context(gate().place()),
        )
        post = _take_apart(body, settings.RESULT_MAX_ITEMS)
        if isinstance(post, dict) and isinstance(post.get("results"), PostedItems):
            held.callback(post["results"].forget)
        return post


def _take_apart(body: bytearray, most: int) -> Any:
    try:
        post = _decoder(most + 1).decode(body)
    except msgspec.ValidationError:
        return _not_a_post(body)
    except RecursionError:
        raise ParseError("The request body is nested far too deep.") from None
    except msgspec.DecodeError as error:
        return _take_apart_leniently(body, error)
    found: dict[str, Any] = {"client_info": _client_info(post.client_info)}
    if post.results is None:
        found["results"] = None
    elif post.results is not msgspec.UNSET:
        found["results"] = PostedItems(
            [raw for raw in msgspec.structs.astuple(post.results) if raw is not _ABSENT]
        )
    return found


@lru_cache
def _decoder(items: int) -> msgspec.json.Decoder[Any]:
    """Decodes the first `items` items of a post, and skips what comes after them without a byte of memory.

    A list of them all would take thirty times the body of a post of nothing but zeros.
    """
    fields = [(f"item{number}", msgspec.Raw, _ABSENT) for number in range(items)]
    first = msgspec.defstruct("FirstItems", fields, array_like=True)
    post = msgspec.defstruct(
        "Post",
        [
            ("results", first | None | msgspec.UnsetType, msgspec.UNSET),
            ("client_info", msgspec.Raw, _ABSENT),
        ],
    )
    return msgspec.json.Decoder(post)


class _AnyPost(msgspec.Struct):
    results: msgspec.Raw = _ABSENT


def _not_a_post(body: bytearray) -> Any:
    """Well-formed JSON that is no object, or whose results are no list: some value of the same type."""
    try:
        raw = msgspec.json.decode(body, type=_AnyPost).results
    except msgspec.ValidationError:
        return _some_value(body.lstrip(b" \t\r\n")[:_BEGINNING])
    return {"results": _some_value(memoryview(raw)[:_BEGINNING])}


def _some_value(beginning: bytearray | memoryview) -> Any:
    number = 0.0 if _FRACTION.search(beginning) else 0
    return _SOME_VALUE.get(bytes(beginning[:1]), number)


def _take_apart_leniently(body: bytearray, error: msgspec.DecodeError) -> Any:
    """A body that is not JSON: perhaps Python wrote it, which knows NaN. Raises ParseError if not."""
    try:
        check_richness(body)
        members = split_leniently(body, settings.RESULT_MAX_ITEMS + 1)
    except Malformed:
        raise ParseError(f"The request body is not valid JSON: {error}.") from None
    except UnreadableJson as too_rich:
        raise ParseError(f"The request body {too_rich}") from None
    found: dict[str, Any] = {"client_info": _client_info(members.get("client_info", b""))}
    if "results" in members:
        found["results"] = PostedItems(members["results"])
    return found


def _client_info(raw: Any) -> Any:
    info = bytes(raw)
    if not info or len(info) > CLIENT_INFO_MAX:
        return None
    try:
        return read_json(info)
    except UnreadableJson:
        return None


def _parse_item(raw: msgspec.Raw | memoryview) -> object:
    document = bytes(raw)
    try:
        return read_json(document)
    except UnreadableJson as error:
        return _parse_leniently(document, error)


def _parse_leniently(document: bytes, error: UnreadableJson) -> object:
    """What Python's own parser makes of it: it knows NaN and halves of characters, which are refused later,
    with the item's lease in hand.
    """
    if not isinstance(error.__cause__, orjson.JSONDecodeError):
        return Unreadable(f"The item {error}")
    try:
        parsed = json.loads(document)
        check_depth(document, parsed)
    except (UnreadableJson, ValueError, RecursionError):
        return Unreadable(f"The item {error}")
    return parsed

"""Finds the items of a result post that is almost JSON: with NaN, infinities or halves of characters in it.

Python's own writer makes such bodies unless it is told not to. The worker's mistake is in one item; the
others need not be lost with it. Slower than the strict way and only tried after it.
"""

from __future__ import annotations

import re
from json.decoder import JSONDecoder
from typing import Any

_SPACE = re.compile(r"[ \t\r\n]*")
_VALUE = JSONDecoder(strict=False)


class Malformed(ValueError):
    """Not even almost JSON, or not an object with a list."""


def split_leniently(body: bytearray, most: int) -> dict[str, Any]:
    """`results` as views of its first `most` items, and `client_info` as a view. Raises Malformed.

    Every value is parsed and dropped, to learn where it ends: one at a time.
    """
    text = body.decode("latin-1")  # a character a byte, so that positions are the same in both
    try:
        return _Walk(text, memoryview(body), most).members()
    except (ValueError, IndexError, RecursionError):
        raise Malformed from None


class _Walk:
    """A position that moves through the text. Its methods raise ValueError or IndexError."""

    def __init__(self, text: str, view: memoryview, most: int) -> None:
        self._text = text
        self._view = view
        self._most = most
        self._at = 0

    def members(self) -> dict[str, Any]:
        found: dict[str, Any] = {}
        self._expect("{")
        more = not self._take("}")
        while more:
            key = self._key()
            value = self._items() if key == "results" else self._value()
            if key in ("results", "client_info"):
                found[key] = value
            more = not self._take("}")
            if more:
                self._expect(",")
        if self._next():
            raise Malformed
        return found

    def _items(self) -> list[memoryview]:
        items: list[memoryview] = []
        self._expect("[")
        more = not self._take("]")
        while more:
            item = self._value()
            if len(items) < self._most:
                items.append(item)
            more = not self._take("]")
            if more:
                self._expect(",")
        return items

    def _key(self) -> str:
        self._next()
        key, self._at = _VALUE.raw_decode(self._text, self._at)
        if not isinstance(key, str):
            raise Malformed
        self._expect(":")
        return key

    def _value(self) -> memoryview:
        self._next()
        start = self._at
        self._at = _VALUE.raw_decode(self._text, start)[1]
        return self._view[start : self._at]

    def _next(self) -> str:
        space = _SPACE.match(self._text, self._at)
        self._at = space.end() if space else self._at
        return self._text[self._at : self._at + 1]

    def _take(self, sign: str) -> bool:
        if self._next() != sign:
            return False
        self._at += 1
        return True

    def _expect(self, sign: str) -> None:
        if not self._take(sign):
            raise Malformed

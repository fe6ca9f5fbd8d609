"""Reads a request body once, inflates it if need be, and never keeps more of it than is allowed.

A limit counts inflated bytes. A declared length above it is refused before a byte is read; a body without a
length, or a small one that inflates without end, is dropped as soon as it has passed the limit.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Protocol

from rest_framework.exceptions import APIException, ParseError

PIECE = 256 * 1024
_GZIP = 16 + zlib.MAX_WBITS
_UNCHANGED = frozenset({"", "identity"})
_GZIPPED = frozenset({"gzip", "x-gzip"})


class BodyTooLarge(APIException):
    """The body exceeds what the server accepts."""

    status_code = 413
    default_detail = "The request body is too large."
    default_code = "too_large"


class UnknownEncoding(APIException):
    """The body is compressed in a way that the server does not know."""

    status_code = 415
    default_detail = "This Content-Encoding is not known; send gzip, or the body as it is."
    default_code = "unsupported_encoding"


class Stream(Protocol):
    """Where a body comes from."""

    def read(self, size: int, /) -> bytes:
        """Up to `size` bytes; none at the end."""


def read_body(
    stream: Stream,
    meta: Mapping[str, Any],
    limit: int,
    *,
    large: int = 0,
    on_large: Callable[[], None] | None = None,
) -> bytearray:
    """The whole body, inflated. `meta` holds the headers as WSGI names them, `limit` is in bytes.

    `on_large` is called once, before more than `large` bytes are kept: by the declared length, before
    anything is read. Raises BodyTooLarge, UnknownEncoding, ParseError, and what `on_large` raises.
    """
    encoding = str(meta.get("HTTP_CONTENT_ENCODING", "")).strip().lower()
    if encoding not in _UNCHANGED | _GZIPPED:
        raise UnknownEncoding(f"The Content-Encoding {encoding[:50]!r} is not known; send gzip or none.")
    declared = content_length(meta)
    bound = _Bound(limit, large, on_large)
    bound.check(declared)
    body = bytearray()
    pieces = _pieces(stream)
    for piece in _inflated(pieces) if encoding in _GZIPPED else pieces:
        bound.check(len(body) + len(piece))
        body += piece
    if encoding in _UNCHANGED and len(body) < declared:
        raise ParseError(f"The request body ended after {len(body):,} of {declared:,} bytes.")
    return body


def content_length(meta: Mapping[str, Any]) -> int:
    """The declared length in bytes; 0 when there is none."""
    try:
        return max(0, int(meta.get("CONTENT_LENGTH") or 0))
    except ValueError:
        return 0


def check_length(meta: Mapping[str, Any], limit: int) -> None:
    """Raise BodyTooLarge for a body whose declared length is above the limit, before it is read."""
    _Bound(limit, 0, None).check(content_length(meta))


class _Bound:
    """What to do when a body has grown to a size."""

    def __init__(self, limit: int, large: int, on_large: Callable[[], None] | None) -> None:
        self._limit = limit
        self._large = large
        self._on_large = on_large

    def check(self, size: int) -> None:
        if size > self._limit:
            raise BodyTooLarge(
                f"The request body is larger than {_readable(self._limit)}; send less at once."
            )
        if self._on_large is not None and size > self._large:
            tell, self._on_large = self._on_large, None
            tell()


def _readable(size: int) -> str:
    return f"{size / 2**20:g} MiB" if size >= 2**20 else f"{size / 2**10:g} KiB"


def _pieces(stream: Stream) -> Iterator[bytes]:
    try:
        while piece := stream.read(PIECE):
            yield piece
    except OSError as error:
        raise ParseError("The request body could not be read to its end.") from error


def _inflated(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """The inflated bytes, in pieces of bounded size however much is in a compressed one."""
    inflater = zlib.decompressobj(_GZIP)
    try:
        for compressed in pieces:
            rest = compressed
            while rest:
                if inflater.eof:  # gzip files may be strung together
                    inflater = zlib.decompressobj(_GZIP)
                yield inflater.decompress(rest, PIECE)
                rest = inflater.unused_data if inflater.eof else inflater.unconsumed_tail
        while not inflater.eof and (last := inflater.decompress(b"", PIECE)):
            yield last
    except zlib.error as error:
        raise ParseError("The request body is not valid gzip.") from error
    if not inflater.eof:
        raise ParseError("The request body is not valid gzip: its end is missing.")

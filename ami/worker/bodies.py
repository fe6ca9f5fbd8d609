"""Bodies of requests: JSON, cut into posts of a size that servers take, and packed where that pays."""

from __future__ import annotations

import gzip
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson
import pydantic

from ami.ml.schemas import PipelineTaskResult

MAX_POST_BYTES = 16_000_000
"""Results larger than this go in several posts; one post of a large model can exceed what servers accept."""
GZIP_FROM_BYTES = 100_000
"""Scores of wide category maps shrink to a half or less; below this size it is not worth the time."""
GZIP_LEVEL = 1


@dataclass(frozen=True, slots=True)
class Body:
    """What is sent, and the headers that it needs."""

    data: bytes
    headers: dict[str, str] = field(default_factory=dict)


def json_body(request: pydantic.BaseModel) -> Body:
    """A request as JSON; what is not set is left out."""
    return Body(request.model_dump_json(exclude_none=True).encode())


def result_bodies(
    results: Sequence[PipelineTaskResult], client_info: dict[str, Any], *, compress: bool
) -> Iterator[Body]:
    """The posts that hand in `results`, in order."""
    tail = b'],"client_info":' + orjson.dumps(client_info) + b"}"
    for items in _portions(results):
        data = b'{"results":[' + b",".join(items) + tail
        yield _packed(data) if compress and len(data) >= GZIP_FROM_BYTES else Body(data)


def _portions(results: Sequence[PipelineTaskResult]) -> Iterator[list[bytes]]:
    portion: list[bytes] = []
    size = 0
    for result in results:
        item = result.model_dump_json(exclude_none=True).encode()
        if portion and size + len(item) > MAX_POST_BYTES:
            yield portion
            portion, size = [], 0
        portion.append(item)
        size += len(item)
    if portion:
        yield portion


def _packed(data: bytes) -> Body:
    # mtime=0: the same results are the same bytes, so a repeated post is a repeated post
    return Body(gzip.compress(data, GZIP_LEVEL, mtime=0), {"Content-Encoding": "gzip"})

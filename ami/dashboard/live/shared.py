"""One view of something for everybody who looks at it: made at most once in a while, and told by a mark."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from django.core.cache import cache

T = TypeVar("T")

PATIENCE_SECONDS = 10
"""How long one who makes a view is waited for, by being shown the last one."""


@dataclass(frozen=True)
class Fragment:
    """A piece of a page. `mark` differs when the piece does; what does not change is not sent again."""

    html: str
    mark: str


def fragment(html: str) -> Fragment:
    """The piece with its mark."""
    return Fragment(html, hashlib.blake2b(html.encode(), digest_size=8).hexdigest())


def shared(key: str, make: Callable[[], T], *, seconds: float) -> T:
    """What `make` returned at most `seconds` ago, in this process or another.

    While one makes it anew the others get the one before, so that a slow database has one statement to answer
    and not one from each open page. Without Redis everybody makes their own.
    """
    known: tuple[T] | None = cache.get(key)
    if known is not None and not cache.add(f"{key}:fresh", 1, timeout=seconds):
        return known[0]
    made = make()
    cache.set(key, (made,), timeout=PATIENCE_SECONDS)
    if known is None:
        cache.set(f"{key}:fresh", 1, timeout=seconds)
    return made

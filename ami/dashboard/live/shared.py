"""One view of something for everybody who looks at it: made at most once in a while, and told by a mark."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from django.core.cache import cache

from ami.dashboard.live.memory import remembered

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
    """What `make` returned about `seconds` ago at most, in this process or another.

    While one makes it anew the others get the one before, so that a slow database has one statement to answer
    and not one from each open page. Without Redis everybody makes their own.
    """
    return remembered(key, lambda: _from_redis(key, make, seconds), seconds=seconds / 2)


def renewed(key: str, make: Callable[[], T], *, seconds: float) -> T:
    """What `make` returns now; the others get it, too. For who has just changed something."""
    made = make()
    cache.set(key, (made,), timeout=PATIENCE_SECONDS)
    cache.set(f"{key}:fresh", 1, timeout=seconds)
    return made


def _from_redis(key: str, make: Callable[[], T], seconds: float) -> T:
    known: tuple[T] | None = cache.get(key)
    if known is not None and not cache.add(f"{key}:fresh", 1, timeout=seconds):
        return known[0]
    return renewed(key, make, seconds=seconds)

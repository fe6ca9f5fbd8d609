"""What a listing of a place gives: pages of files in a fixed order, so that it can go on after each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from ami.main.images import SUFFIXES


@dataclass(frozen=True, slots=True)
class Found:
    """A file: its path in the place, and its size in bytes."""

    path: str
    size: int


@dataclass(frozen=True, slots=True)
class Page:
    """Some files. `last`: what to ask for the next page with; `more`: whether there is one."""

    found: Sequence[Found]
    last: str
    more: bool
    unnameable: Sequence[str] = field(default=())
    """Files whose names cannot be stored, as text."""


class Listing(Protocol):
    """A place that can be listed."""

    def pages(self, after: str = "") -> Iterator[Page]:
        """Its files, those after a page if given its `last`.

        Raises a StorageError, or an error of an outgoing call.
        """


def is_image(path: str) -> bool:
    """Whether the name is that of an image we can read."""
    stem, dot, ending = path.rpartition("/")[2].rpartition(".")
    return bool(stem) and not stem.startswith(".") and f"{dot}{ending}".lower() in SUFFIXES


def folder_of(*parts: str) -> str:
    """Parts of a path as a prefix: `a`, `/b/` make `a/b/`; empty if all of them are."""
    below = "/".join(part.strip("/") for part in parts if part.strip("/"))
    return f"{below}/" if below else ""

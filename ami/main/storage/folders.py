"""Lists a folder on this server, one of those that STORAGE_FOLDERS allows; nothing else here can be read.

Links are never followed: neither in the listing, nor where a file is opened.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote_from_bytes, unquote_to_bytes

from django.conf import settings

from ami.main.storage.errors import StorageAway, StorageMissing, StorageRefused
from ami.main.storage.listing import Found, Page

PAGE = 1_000


def allowed_folder(folder: str) -> Path:
    """The folder, if it lies in one that is allowed. Raises StorageRefused or StorageMissing."""
    if not folder or "\x00" in folder or not Path(folder).is_absolute():
        raise StorageRefused("Name the whole path of the folder, beginning with a slash.")
    try:
        found = Path(folder).resolve(strict=True)
    except (OSError, RuntimeError):
        found = Path(os.path.normpath(folder))
    roots = [Path(root).resolve() for root in settings.STORAGE_FOLDERS]
    if not any(found.is_relative_to(root) for root in roots):
        raise StorageRefused(
            "This server reads no such folder. An administrator can allow it in STORAGE_FOLDERS."
        )
    if not found.is_dir():
        raise StorageMissing(f"There is no folder {folder!r}.")
    return found


class Folder:
    """The files of a folder and those below it."""

    def __init__(self, folder: str, below: str = "", page: int | None = None) -> None:
        """`below`: where to begin, inside the folder. Paths of files are those inside the folder."""
        self.root = allowed_folder(folder)
        self.below = below
        self.page = page or PAGE
        start = (self.root / below).resolve()
        if not start.is_relative_to(self.root):
            raise StorageRefused(f"{below!r} leads out of the folder.")
        if not start.is_dir():
            raise StorageMissing(f"There is no folder {below!r} in {folder!r}.")
        self.start = start

    def pages(self, after: str = "") -> Iterator[Page]:
        """The files in the order of a sorted walk. The names of one folder are held at a time."""
        found: list[Found] = []
        odd: list[str] = []
        last = after
        prefix = "" if self.start == self.root else f"{self.start.relative_to(self.root).as_posix()}/"
        for path, size in _walk(self.start, prefix, _parts(after)):
            last = quote_from_bytes(os.fsencode(path))
            if _is_utf8(path):
                found.append(Found(path, size))
            else:
                odd.append(path.encode("utf-8", "replace").decode())
            if len(found) + len(odd) >= self.page:
                yield Page(found, last, True, odd)
                found, odd = [], []
        yield Page(found, last, False, odd)


def _parts(last: str) -> list[str]:
    """The parts of a path as a page named it: quoted, for a name may be no text."""
    return os.fsdecode(unquote_to_bytes(last)).split("/") if last else []


def _walk(folder: Path, prefix: str, after: list[str]) -> Iterator[tuple[str, int]]:
    """Files below a folder with their sizes, in the order of the parts of their paths.

    `after`: the parts of the path, from the root on, after which to begin; empty: from the start.
    """
    depth = prefix.count("/")
    if after and after[:depth] != prefix.split("/")[:-1]:
        after = []  # it lies in another folder, one that comes before this one
    passed = after[depth] if len(after) > depth else None
    for entry in _entries(folder):
        if passed is not None and (entry.name < passed or (entry.name == passed and len(after) == depth + 1)):
            continue
        if entry.is_dir(follow_symlinks=False):
            rest = after if entry.name == passed else []
            yield from _walk(Path(entry.path), f"{prefix}{entry.name}/", rest)
        elif entry.is_file(follow_symlinks=False):
            try:
                yield f"{prefix}{entry.name}", entry.stat(follow_symlinks=False).st_size
            except FileNotFoundError:
                continue


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    """What is in a folder, sorted, without hidden things."""
    try:
        with os.scandir(folder) as entries:
            return sorted((each for each in entries if not each.name.startswith(".")), key=lambda e: e.name)
    except FileNotFoundError:
        return []
    except OSError as error:
        raise StorageAway(f"A folder cannot be read: {error.strerror}.") from None


def _is_utf8(path: str) -> bool:
    try:
        path.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True

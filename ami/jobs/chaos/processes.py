"""The processes of this installation on this machine, as Linux tells of them in /proc.

A process is of this installation if it runs in the same checkout and was given the same servers: on one
machine there may be several installations, and several stacks of one.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from django.conf import settings

from ami.jobs.chaos.errors import ChaosRefused

PROC = Path("/proc")
ADDRESSES = ("DATABASE_URL", "REDIS_URL", "CELERY_BROKER_URL", "NATS_URL")


@dataclass(frozen=True, slots=True)
class Process:
    """A running process. `command`: with its arguments, or the title that it gave itself."""

    pid: int
    parent: int
    command: str

    def __str__(self) -> str:
        return f"{self.pid}  {self.command[:100]}"


def installed_processes() -> list[Process]:
    """All of this installation, without this very process and those that started it.

    Raises ChaosRefused where there is no /proc. Processes of other accounts are not seen.
    """
    if not PROC.is_dir():
        raise ChaosRefused("Processes can be told apart only where there is a /proc, as on Linux.")
    mine = _with_ancestors(os.getpid())
    found: list[Process] = []
    for folder in PROC.iterdir():
        if folder.name.isdigit() and int(folder.name) not in mine and _is_ours(folder):
            found += _read(folder)
    return sorted(found, key=lambda process: process.pid)


def find(pid: int) -> Process | None:
    """One process, whosever it is; None if it is gone."""
    return next(_read(PROC / str(pid)), None)


def _is_ours(folder: Path) -> bool:
    try:
        if Path(os.readlink(folder / "cwd")) != settings.BASE_DIR:
            return False
        given = (folder / "environ").read_bytes().decode(errors="replace").split("\0")
    except OSError:  # it ended, or belongs to somebody else
        return False
    theirs = dict(entry.partition("=")[::2] for entry in given)
    names = [*ADDRESSES, *(f"{name}_FILE" for name in ADDRESSES)]
    return all(theirs.get(name, "") == os.environ.get(name, "") for name in names)


def _read(folder: Path) -> Iterator[Process]:
    """The process, unless it ended or left nothing but its number."""
    try:
        command = (folder / "cmdline").read_bytes().decode(errors="replace").replace("\0", " ").strip()
        status = (folder / "stat").read_text()
    except OSError:
        return
    if command:
        yield Process(int(folder.name), int(status.rpartition(")")[2].split()[1]), command)


def _with_ancestors(pid: int) -> set[int]:
    found: set[int] = set()
    while pid and pid not in found:
        found.add(pid)
        process = find(pid)
        pid = process.parent if process else 0
    return found

"""Folders for the servers' data: private, used by one stack at a time, and temporary ones."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from ami.embedded.errors import EmbeddedError

PREFIX = "ami-"
MEMORY = Path("/dev/shm")  # noqa: S108 - shared memory of Linux; containers often give it 64 MB
MEMORY_ROOM_BYTES = 2 * 1024**3
ABANDONED_SECONDS = 600.0
LOCK_SECONDS = 2.0
"""How long to wait for the servers of a stack that was killed this moment."""


def claim(directory: Path) -> int:
    """Make a folder ours while the returned descriptor is open, here or in a process that inherits it.

    It is made if it is not there. Fails if another stack uses it.
    """
    try:
        if not directory.exists():
            directory.mkdir(parents=True)
            _make_private(directory)
        descriptor = os.open(directory / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except (PermissionError, NotADirectoryError, FileExistsError) as error:
        raise EmbeddedError(
            f"{directory} cannot hold the servers' data; name another folder. {error}"
        ) from None
    deadline = time.monotonic() + LOCK_SECONDS
    while not _locked(descriptor):
        if time.monotonic() > deadline:
            owner = os.read(descriptor, 20).decode() or "unknown"
            os.close(descriptor)
            raise EmbeddedError(
                f"The servers of {directory} are already running, started by process {owner}. "
                "Stop it, or name another folder."
            )
        time.sleep(0.02)
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, str(os.getpid()).encode(), 0)
    return descriptor


def _make_private(directory: Path) -> None:
    """Nobody else may look in. Root's can be walked through: there Postgres runs as `nobody`."""
    directory.chmod(0o711 if os.geteuid() == 0 else 0o700)


@contextlib.contextmanager
def temporary_folder(parent: str | None = None) -> Iterator[Path]:
    """A folder for a stack that is to leave nothing behind; in memory where that has room, for speed."""
    place = parent or _place()
    _remove_abandoned(Path(place))
    with tempfile.TemporaryDirectory(prefix=PREFIX, dir=place) as folder:
        _make_private(Path(folder))
        yield Path(folder)


def _place() -> str:
    in_memory = (
        "TMPDIR" not in os.environ
        and os.access(MEMORY, os.W_OK | os.X_OK)
        and shutil.disk_usage(MEMORY).free >= MEMORY_ROOM_BYTES
    )
    return str(MEMORY) if in_memory else tempfile.gettempdir()


def _remove_abandoned(place: Path) -> None:
    """What a killed stack left: ours, older than any start takes, and with no server that holds its lock."""
    for lock in place.glob(f"{PREFIX}*/lock"):
        with contextlib.suppress(OSError):  # somebody else's, or removed by somebody else this moment
            folder = lock.parent.stat()
            if folder.st_uid != os.geteuid() or time.time() - folder.st_mtime < ABANDONED_SECONDS:
                continue
            with lock.open("r+b") as file:
                if _locked(file.fileno()):
                    shutil.rmtree(lock.parent)


def _locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True

"""Processes share their counters through files: each writes its own, whoever is asked adds them up.

    <directory>/<role>@<host>/<kind>_<process>.db

The file of a process that died stays: without it, sums would fall, and a rate over them would jump. It goes
when the role starts anew on its host, and all of its counters begin at zero together. Roles and hosts are
not added up but labelled, so that a restart of one is seen as what it is.
"""

from __future__ import annotations

import atexit
import os
import re
import shutil
import socket
import tempfile
import time
from contextlib import suppress
from pathlib import Path

from prometheus_client import values

ENVIRONMENT = "PROMETHEUS_MULTIPROC_DIR"
FORGET_SECONDS = 2 * 24 * 3600.0
"""A folder that nobody wrote to for so long belongs to a host that is gone."""

_UNSAFE = re.compile(r"[^A-Za-z0-9.-]+")
_process = str(os.getpid())


def share(directory: str | os.PathLike[str], role: str) -> Path:
    """Count into files below `directory` from now on, in this process and those that it forks.

    Call it at start, before anything is counted. Raises OSError if the folder cannot be written.
    """
    folder = folder_of(directory, role)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "probe").write_bytes(b"")
    os.environ[ENVIRONMENT] = str(folder)
    values.ValueClass = values.MultiProcessValue(lambda: _process)  # type: ignore[no-untyped-call]
    return folder


def start_over(directory: str | os.PathLike[str], role: str) -> None:
    """Remove what processes of an earlier start left behind; call it once, before the first one of this."""
    root = Path(directory)
    for file in folder_of(directory, role).glob("*.db"):
        if not _is_alive(file):
            file.unlink(missing_ok=True)
    for folder in root.glob("*@*"):
        with suppress(OSError):
            newest = max((file.stat().st_mtime for file in folder.iterdir()), default=0.0)
            if time.time() - newest > FORGET_SECONDS:
                shutil.rmtree(folder, ignore_errors=True)


def own_folder() -> str:
    """A folder that goes when this process ends, for who is not told another one."""
    folder = tempfile.mkdtemp(prefix="ami-metrics-")
    owner = os.getpid()

    def remove() -> None:
        if os.getpid() == owner:  # and not a process that it forked
            shutil.rmtree(folder, ignore_errors=True)

    atexit.register(remove)
    return folder


def folder_of(directory: str | os.PathLike[str], role: str) -> Path:
    """Where processes of a role on this host write."""
    return Path(directory) / f"{role}@{_UNSAFE.sub('-', socket.gethostname()) or 'host'}"


def _is_alive(file: Path) -> bool:
    number = file.stem.rpartition("_")[2]
    if not number.isdigit():
        return False
    try:
        os.kill(int(number), 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def _after_fork() -> None:
    global _process
    _process = str(os.getpid())


os.register_at_fork(after_in_child=_after_fork)

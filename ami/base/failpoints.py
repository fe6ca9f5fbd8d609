"""Named points in the code where a test can make something happen.

Production code calls `hit("save.after_commit")`. Nothing happens unless the point is armed, by `arm()` in the
same process or by the environment variable `AMI_FAILPOINTS` in another one, for instance
`AMI_FAILPOINTS="save.after_commit=crash*1"`. Modes:

- `crash`: the process kills itself with SIGKILL, as a power cut would;
- `raise`: `FailpointRaised` is raised, as an unforeseen error would be;
- `pause`: the process waits there until the file `<dir>/<point>.go` exists (`AMI_FAILPOINT_DIR`).

`*N` limits how often the point fires over all processes that share `AMI_FAILPOINT_DIR`; each firing leaves a
file `<point>.<n>.hit` there, which is what a test waits for. Only armed when the environment says so: without
`AMI_FAILPOINTS` and without `arm()` a point costs one look into an empty dictionary.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

PAUSE_LIMIT_SECONDS = 60.0


class FailpointRaised(RuntimeError):
    """An armed failpoint raised on purpose."""


_armed: dict[str, Callable[[], None]] = {}


def hit(point: str) -> None:
    """Do what the point is armed for; nothing otherwise."""
    if _armed and (action := _armed.get(point)) is not None:
        action()


@contextmanager
def arm(point: str, action: Callable[[], None] | None = None) -> Iterator[None]:
    """Arm a point in this process while the block runs; without an action it raises `FailpointRaised`."""

    def raise_here() -> None:
        raise FailpointRaised(point)

    _armed[point] = action or raise_here
    try:
        yield
    finally:
        _armed.pop(point, None)


def arm_from_environment(specification: str, directory: Path | None) -> None:
    """Arm what `AMI_FAILPOINTS` asks for: `point=mode` or `point=mode*limit`, separated by commas."""
    for part in filter(None, specification.split(",")):
        point, _, rest = part.strip().partition("=")
        mode, _, limit = rest.partition("*")
        if mode not in _MODES:
            raise ValueError(f"AMI_FAILPOINTS: {part!r} names no known mode ({', '.join(_MODES)}).")
        _armed[point] = _limited(point, _MODES[mode], int(limit or 0), directory)


def _limited(
    point: str, mode: Callable[[str, Path | None], None], limit: int, directory: Path | None
) -> Callable[[], None]:
    def act() -> None:
        if directory is not None and not _take_turn(point, limit, directory):
            return
        mode(point, directory)

    return act


def _take_turn(point: str, limit: int, directory: Path) -> bool:
    """Claim the next firing by creating its file, which only one process can."""
    number = 0
    while not limit or number < limit:
        try:
            os.close(os.open(directory / f"{point}.{number}.hit", os.O_CREAT | os.O_EXCL))
        except FileExistsError:
            number += 1
        else:
            return True
    return False


def _crash(_point: str, _directory: Path | None) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _raise(point: str, _directory: Path | None) -> None:
    raise FailpointRaised(point)


def _pause(point: str, directory: Path | None) -> None:
    if directory is None:
        raise FailpointRaised(f"{point}: the mode 'pause' needs AMI_FAILPOINT_DIR.")
    deadline = time.monotonic() + PAUSE_LIMIT_SECONDS
    while not (directory / f"{point}.go").exists():
        if time.monotonic() > deadline:
            raise FailpointRaised(f"{point}: nobody resumed within {PAUSE_LIMIT_SECONDS:.0f} s.")
        time.sleep(0.005)


_MODES: dict[str, Callable[[str, Path | None], None]] = {"crash": _crash, "raise": _raise, "pause": _pause}

if _specification := os.environ.get("AMI_FAILPOINTS", ""):
    _directory = os.environ.get("AMI_FAILPOINT_DIR", "")
    arm_from_environment(_specification, Path(_directory) if _directory else None)

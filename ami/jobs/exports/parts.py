"""The unfinished files of an export: they grow by steps, and a step that died leaves nothing in them.

A file is as long as the last commit says; what is behind that was written by a step that did not commit, and
is cut off before the next one writes. Only one process at a time writes.
"""

from __future__ import annotations

import fcntl
import os
import zlib
from collections.abc import Container, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self

from ami.base.errors import InvalidInput, TemporarilyUnavailable

_BUFFER = 256 * 1024
_LOCK = "lock"


@dataclass(slots=True)
class Written:
    """How far a file is: its bytes, and, of a compressed one, the bytes and the checksum of what it says."""

    size: int = 0
    raw_size: int = 0
    crc: int = 0


class Part:
    """One file that grows."""

    def __init__(self, path: Path, written: Written, *, deflate: bool) -> None:
        """Open it, and cut it off where the last commit left it. Raises InvalidInput if it is shorter."""
        self.written = written
        self._file: BinaryIO = os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, 0o640), "r+b")
        if os.fstat(self._file.fileno()).st_size < written.size:
            self._file.close()
            raise InvalidInput(
                "The unfinished file of this export is gone; run the job again. Workers on several machines "
                "need one media storage."
            )
        self._file.truncate(written.size)
        self._file.seek(written.size)
        # Blocks of deflate may follow each other, whoever made them: each step is a few.
        self._deflate = zlib.compressobj(6, zlib.DEFLATED, -zlib.MAX_WBITS) if deflate else None
        self._waiting = bytearray()

    def write(self, data: bytes) -> None:
        """Add to it."""
        self._waiting += data
        if len(self._waiting) >= _BUFFER:
            self._write_waiting()

    def _write_waiting(self) -> None:
        data = bytes(self._waiting)
        self._waiting.clear()
        self.written.raw_size += len(data)
        if self._deflate is not None:
            self.written.crc = zlib.crc32(data, self.written.crc)
            data = self._deflate.compress(data)
        self._file.write(data)

    def settle(self, *, last: bool = False) -> None:
        """Have everything on the disk; after the `last` time nothing may follow."""
        self._write_waiting()
        if self._deflate is not None:
            self._file.write(self._deflate.flush(zlib.Z_FINISH if last else zlib.Z_FULL_FLUSH))
        self._file.flush()
        os.fsync(self._file.fileno())
        self.written.size = self._file.tell()

    def close(self) -> None:
        """Close it; what was not settled may be there or not."""
        self._file.close()


class TextPart:
    """A part that takes text, as the library's CSV writers want it."""

    def __init__(self, part: Part) -> None:
        """`part`: where the text goes, as UTF-8."""
        self._part = part

    def write(self, text: str) -> None:
        """Add to it."""
        self._part.write(text.encode("utf-8", "replace"))


class Parts:
    """All files of an export, by name, opened when they are first written to."""

    def __init__(
        self, folder: Path, written: Mapping[str, Mapping[str, int]], *, deflated: Container[str] = ()
    ) -> None:
        """`written`: what `as_cursor` said at the last commit; files that it does not name begin empty.

        `deflated`: the names of those that are compressed while they grow.
        """
        self.folder = folder
        self._written = {name: Written(**known) for name, known in written.items()}
        self._deflated = deflated
        self._open: dict[str, Part] = {}

    def __enter__(self) -> Self:
        """Cut off, at once, what a step that died left behind."""
        for name in self._written:
            self[name]
        return self

    def __exit__(self, kind: type[BaseException] | None, error: Any, trace: TracebackType | None) -> None:
        with ExitStack() as stack:
            for part in self._open.values():
                stack.callback(part.close)

    def __getitem__(self, name: str) -> Part:
        """A file to write to."""
        if name not in self._open:
            written = self._written.setdefault(name, Written())
            self._open[name] = Part(self.folder / name, written, deflate=name in self._deflated)
        return self._open[name]

    def settle(self, *, last: bool = False) -> None:
        """Have everything on the disk."""
        for part in self._open.values():
            part.settle(last=last)

    def written(self, name: str) -> Written:
        """How far a file is."""
        return self._written[name]

    def as_cursor(self) -> dict[str, dict[str, int]]:
        """Where all files stand, for the next step."""
        return {name: asdict(written) for name, written in self._written.items()}


@contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Nobody else writes in the folder during the block. Raises TemporarilyUnavailable if somebody does.

    A slice that was slow may have lost its claim and not know it yet.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / _LOCK).open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise TemporarilyUnavailable("The slice before still writes the file of this export.") from None
        yield

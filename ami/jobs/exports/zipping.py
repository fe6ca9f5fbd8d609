"""A zip file of members that are compressed already: only bytes are copied, so that large ones take seconds.

The library's writer compresses everything once more, in one go; ours grew compressed, over many steps. The
layout is that of PKWARE's APPNOTE 6.3, with the 64-bit fields where a number needs them.
"""

from __future__ import annotations

import shutil
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from ami.jobs.exports.parts import Written

_DEFLATED = 8
_UTF_8_NAMES = 0x800
_VERSION_64 = 45
_MIDNIGHT, _NEW_YEAR_1980 = 0, 0x21
_FULL = 0xFFFFFFFF
_ORDINARY_FILE = 0o100644 << 16
_BUFFER = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Member:
    """A file of raw deflate data, and what it says when it is inflated."""

    name: str
    path: Path
    written: Written


def write_zip(place: Path, members: Sequence[Member]) -> None:
    """Make a zip file of them, anew if it is there."""
    with place.open("wb") as target:
        central = b""
        for member in members:
            offset = target.tell()
            target.write(_local_header(member))
            with member.path.open("rb") as source:
                shutil.copyfileobj(source, target, _BUFFER)
            central += _central_header(member, offset)
        _write_end(target, central, len(members))


def _local_header(member: Member) -> bytes:
    """With both sizes in 64 bits, as large members need them, and small ones may have them."""
    written, name = member.written, member.name.encode()
    extra = struct.pack("<HHQQ", 1, 16, written.raw_size, written.size)
    return (
        struct.pack(
            "<4sHHHHHIIIHH",
            b"PK\x03\x04",
            _VERSION_64,
            _UTF_8_NAMES,
            _DEFLATED,
            _MIDNIGHT,
            _NEW_YEAR_1980,
            written.crc,
            _FULL,
            _FULL,
            len(name),
            len(extra),
        )
        + name
        + extra
    )


def _central_header(member: Member, offset: int) -> bytes:
    written, name = member.written, member.name.encode()
    large = [number for number in (written.raw_size, written.size, offset) if number >= _FULL]
    extra = struct.pack(f"<HH{len(large)}Q", 1, 8 * len(large), *large) if large else b""
    return (
        struct.pack(
            "<4sHHHHHHIIIHHHHHII",
            b"PK\x01\x02",
            3 << 8 | _VERSION_64,
            _VERSION_64,
            _UTF_8_NAMES,
            _DEFLATED,
            _MIDNIGHT,
            _NEW_YEAR_1980,
            written.crc,
            min(written.size, _FULL),
            min(written.raw_size, _FULL),
            len(name),
            len(extra),
            0,
            0,
            0,
            _ORDINARY_FILE,
            min(offset, _FULL),
        )
        + name
        + extra
    )


def _write_end(target: BinaryIO, central: bytes, count: int) -> None:
    start = target.tell()
    target.write(central)
    if start >= _FULL:
        end = target.tell()
        target.write(
            struct.pack(
                "<4sQHHIIQQQQ",
                b"PK\x06\x06",
                44,
                _VERSION_64,
                _VERSION_64,
                0,
                0,
                count,
                count,
                len(central),
                start,
            )
        )
        target.write(struct.pack("<4sIQI", b"PK\x06\x07", 0, end, 1))
    target.write(
        struct.pack("<4sHHHHIIH", b"PK\x05\x06", 0, 0, count, count, len(central), min(start, _FULL), 0)
    )

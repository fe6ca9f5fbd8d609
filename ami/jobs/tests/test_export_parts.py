"""Files that grow by steps, and zip files of them."""

from __future__ import annotations

import os
import random
import zipfile
from pathlib import Path
from typing import BinaryIO

import pytest

from ami.base.errors import InvalidInput, TemporarilyUnavailable
from ami.jobs.exports.csv import harmless
from ami.jobs.exports.parts import Parts, Written, alone_in
from ami.jobs.exports.zipping import Member, write_zip


def test_what_was_not_committed_is_cut_off(tmp_path: Path) -> None:
    with Parts(tmp_path, {}) as parts:
        parts["a"].write(b"kept")
        parts.settle()
        committed = parts.as_cursor()
        parts["a"].write(b" lost")
        parts["b"].write(b"lost")
        parts.settle()
    with Parts(tmp_path, committed) as parts:
        parts["a"].write(b" and new")
        parts["b"].write(b"new")
        parts.settle()
    assert (tmp_path / "a").read_bytes() == b"kept and new"
    assert (tmp_path / "b").read_bytes() == b"new"


def test_a_file_that_is_shorter_than_it_was_is_not_written_on(tmp_path: Path) -> None:
    with Parts(tmp_path, {}) as parts:
        parts["a"].write(b"12345")
        parts.settle()
    os.truncate(tmp_path / "a", 3)
    with pytest.raises(InvalidInput, match="is gone"), Parts(tmp_path, parts.as_cursor()):
        pass


def test_one_at_a_time_writes_in_a_folder(tmp_path: Path) -> None:
    folder = tmp_path / "new"
    with alone_in(folder), pytest.raises(TemporarilyUnavailable), alone_in(folder):
        pass
    with alone_in(folder):
        pass


def test_a_zip_file_of_parts_that_grew_compressed_is_like_any_other(tmp_path: Path) -> None:
    source = random.Random(3)
    said = {"one.csv": b"", "two.csv": b"", "empty.csv": b""}
    written: dict[str, dict[str, int]] = {}
    for step in range(4):
        with Parts(tmp_path, written, deflated=said) as parts:
            for name in ("one.csv", "two.csv"):
                data = source.randbytes(200_000 * step) + b"moth," * 50_000
                said[name] += data
                parts[name].write(data)
            parts["empty.csv"].write(b"")
            parts.settle(last=step == 3)
            written = parts.as_cursor()
            if step < 3:
                parts["one.csv"].write(b"of a step that died" * 100_000)
    place = tmp_path / "all.zip"
    write_zip(place, [Member(name, tmp_path / name, parts.written(name)) for name in said])
    with zipfile.ZipFile(place) as file:
        assert file.testzip() is None
        assert {name: file.read(name) for name in file.namelist()} == said


def test_a_zip_file_may_be_larger_than_four_gigabytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    huge = 5 * 2**30
    with Parts(tmp_path, {}, deflated={"small"}) as parts:
        parts["small"].write(b"after all that")
        parts.settle(last=True)
    (tmp_path / "huge").touch()

    def copy(source: BinaryIO, target: BinaryIO, _length: int) -> None:
        data = source.read()
        target.write(data) if data else target.seek(huge, os.SEEK_CUR)  # a hole, which takes no room

    monkeypatch.setattr("ami.jobs.exports.zipping.shutil.copyfileobj", copy)
    place = tmp_path / "all.zip"
    sizes = Written(size=huge, raw_size=7 * huge, crc=1)
    write_zip(
        place,
        [
            Member("huge", tmp_path / "huge", sizes),
            Member("small", tmp_path / "small", parts.written("small")),
        ],
    )
    with zipfile.ZipFile(place) as file:
        about = file.getinfo("huge")
        assert (about.compress_size, about.file_size) == (huge, 7 * huge)
        assert file.getinfo("small").header_offset > huge
        assert file.read("small") == b"after all that"


@pytest.mark.parametrize(
    ("cell", "shown"),
    [
        ("=1+1", "'=1+1"),
        ("+1", "'+1"),
        ("-1", "'-1"),
        ("@x", "'@x"),
        ("\t=1", "'\t=1"),
        ("\r=1", "'\r=1"),
        ("moth", "moth"),
        ("", ""),
        (-1.5, -1.5),
        (None, None),
        (True, "true"),
    ],
)
def test_no_cell_is_a_formula(cell: object, shown: object) -> None:
    assert harmless(cell) == shown

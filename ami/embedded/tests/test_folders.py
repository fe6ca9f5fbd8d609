"""Temporary folders clean up after themselves, and after those that could not."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from ami.embedded import folders


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(folders, "_place", lambda: str(tmp_path))
    return tmp_path


def make_old(place: Path, name: str) -> Path:
    folder = place / name
    folder.mkdir()
    (folder / "lock").touch()
    long_ago = time.time() - 2 * folders.ABANDONED_SECONDS
    os.utime(folder, (long_ago, long_ago))
    return folder


def test_a_temporary_folder_is_private_and_goes_away(place: Path) -> None:
    with folders.temporary_folder() as folder:
        assert folder.parent == place
        assert folder.stat().st_mode & 0o066 == 0
    assert not folder.exists()


def test_an_abandoned_folder_is_removed_by_the_next(place: Path) -> None:
    abandoned = make_old(place, "ami-abandoned")
    young = place / "ami-young"
    young.mkdir()
    (young / "lock").touch()
    strange = make_old(place, "somebody-elses")
    with folders.temporary_folder():
        assert not abandoned.exists()
        assert young.exists()
        assert strange.exists()


def test_an_old_folder_whose_servers_run_stays(place: Path) -> None:
    folder = make_old(place, "ami-running")
    lock = folders.claim(folder)
    try:
        with folders.temporary_folder():
            assert folder.exists()
    finally:
        os.close(lock)


def test_memory_is_left_alone_where_there_is_little_of_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("TMPDIR", raising=False)
    monkeypatch.setattr(folders, "MEMORY", tmp_path)
    assert folders._place() == str(tmp_path)
    monkeypatch.setattr(folders, "MEMORY_ROOM_BYTES", 1024**5)
    assert folders._place() != str(tmp_path)

"""The command line refuses what cannot work, with a sentence, before anything is started."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from ami.demo.errors import WrongUse
from ami.demo.options import DRAWN_SHEETS, MOST_UNASKED, read_options


def test_without_images_some_are_drawn() -> None:
    options = read_options([])
    assert options.images is None
    assert options.count == DRAWN_SHEETS


def test_images_in_folders_below_count_too(tmp_path: Path) -> None:
    (tmp_path / "night").mkdir()
    (tmp_path / "night" / "1.JPG").touch()
    options = read_options(["--images", str(tmp_path)])
    assert options.available == 1
    assert options.count == MOST_UNASKED
    assert read_options(["--images", str(tmp_path), "--count", "3"]).count == 3


def test_missing_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(WrongUse, match="does not exist"):
        read_options(["--images", str(tmp_path / "nowhere")])


def test_file_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "1.jpg").touch()
    with pytest.raises(WrongUse, match="is not a folder"):
        read_options(["--images", str(tmp_path / "1.jpg")])


def test_folder_without_images_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").touch()
    with pytest.raises(WrongUse, match="There are no JPEG or PNG images"):
        read_options(["--images", str(tmp_path)])


def test_taken_port_is_refused_and_never_chosen() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(WrongUse, match=f"Port {port} cannot be used"):
            read_options(["--port", str(port)])
    assert read_options(["--port", str(port)]).port == port


@pytest.mark.parametrize("arguments", [["--count", "0"], ["--count", "x"], ["--port", "0"], ["--what"]])
def test_nonsense_ends_with_code_2(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as end:
        read_options(arguments)
    assert end.value.code == 2


def test_report_into_a_missing_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(WrongUse, match="cannot be written"):
        read_options(["--json", str(tmp_path / "nowhere" / "report.json")])

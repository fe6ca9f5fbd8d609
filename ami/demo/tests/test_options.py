"""The command line refuses what cannot work, with a sentence, before anything is started."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
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


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--count", "abc"], "'abc' is no number of captures; give a whole number from 1 up"),
        (["--count", "0"], "'0' is no number of captures; give a whole number from 1 up"),
        (["--port", "http"], "'http' is no port; give a whole number from 1 to 65535"),
    ],
)
def test_what_is_no_number_is_explained(
    arguments: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        read_options(arguments)
    assert capsys.readouterr().err.splitlines()[-1].endswith(sentence)


@contextmanager
def _ordinary_user() -> Iterator[None]:
    """Root may write everywhere."""
    me = os.geteuid()
    if me == 0:
        os.seteuid(12345)
    try:
        yield
    finally:
        os.seteuid(me)


@pytest.mark.parametrize(
    "name", ["nowhere/report.json", ".", "pipe", "x" * 300, "closed/report.json", "mine"]
)
def test_report_that_cannot_be_written_is_refused_and_nothing_is_left(tmp_path: Path, name: str) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "closed").mkdir(mode=0o555)
    (tmp_path / "mine").touch(mode=0o444)
    for folder in (tmp_path, *list(tmp_path.parents)[:2]):
        folder.chmod(0o755)
    before = sorted(tmp_path.rglob("*"))
    with _ordinary_user(), pytest.raises(WrongUse, match=r"^[^\n]* cannot be written: [^\n]*$") as end:
        read_options(["--json", str(tmp_path / name)])
    assert end.value.exit_code == 2
    assert sorted(tmp_path.rglob("*")) == before


def test_report_that_can_be_written_leaves_no_trace_before_the_end(tmp_path: Path) -> None:
    (tmp_path / "old.json").write_text("old")
    for name in ("old.json", "new.json"):
        assert read_options(["--json", str(tmp_path / name)]).json == tmp_path / name
    assert [(file.name, file.read_text()) for file in tmp_path.iterdir()] == [("old.json", "old")]

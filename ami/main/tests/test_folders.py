"""Folders of this server are read only where that is allowed, in one order, and never through a link."""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest
from pytest_django.fixtures import Settings

from ami.main.storage.errors import StorageMissing, StorageRefused
from ami.main.storage.folders import Folder, allowed_folder
from ami.main.storage.listing import Found, folder_of, is_image


@pytest.fixture
def allowed(tmp_path: Path, settings: Settings) -> Path:
    """A folder that may be read."""
    folder = tmp_path / "stations"
    folder.mkdir()
    settings.STORAGE_FOLDERS = [str(folder)]
    return folder


def write(folder: Path, *names: str) -> None:
    """Files of one byte."""
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"x")


def paths(folder: Folder, after: str = "") -> list[str]:
    """All that is found."""
    return [found.path for page in folder.pages(after) for found in page.found]


def test_nothing_can_be_read_unless_it_is_allowed(tmp_path: Path, settings: Settings) -> None:
    assert settings.STORAGE_FOLDERS == []
    for folder in (str(tmp_path), "/", "/etc", "", "stations", "/proc/self", "\x00"):
        with pytest.raises(StorageRefused):
            allowed_folder(folder)


def test_no_way_leads_out_of_an_allowed_folder(allowed: Path) -> None:
    outside = allowed.parent / "secret"
    write(outside, "1.jpg")
    (allowed / "link").symlink_to(outside)
    (allowed / "loop").symlink_to(allowed)
    write(allowed, "a/1.jpg")
    (allowed / "a/2.jpg").symlink_to(outside / "1.jpg")
    for folder in (allowed / "..", allowed / "../secret", allowed / "link", outside, f"{allowed}-not"):
        with pytest.raises(StorageRefused):
            allowed_folder(str(folder))
    for below in ("../secret/", "link/", "../", "/etc/"):
        with pytest.raises(StorageRefused):
            Folder(str(allowed), below)
    assert paths(Folder(str(allowed))) == ["a/1.jpg"]


def test_what_is_missing_is_said(allowed: Path) -> None:
    with pytest.raises(StorageMissing):
        allowed_folder(f"{allowed}/none")
    with pytest.raises(StorageMissing):
        Folder(str(allowed), "none/")


def test_the_walk_goes_on_after_any_page_and_finds_every_file_once(allowed: Path) -> None:
    chance = random.Random(3)
    names = {
        "/".join(
            chance.choice(["a", "b", "a b", "b.x", "é", "%41", "c"]) for _ in range(chance.randrange(1, 4))
        )
        + f"/{chance.randrange(99)}.jpg"
        for _ in range(80)
    } | {"top.jpg", "a.jpg"}
    write(allowed, *names, ".hidden/1.jpg", "a/.2.jpg")
    everything = sorted(names, key=lambda name: name.split("/"))
    for size in (1, 7, 1000):
        found, after, more = [], "", True
        while more:
            page = next(Folder(str(allowed), page=size).pages(after))
            found += [each.path for each in page.found]
            after, more = page.last, page.more
        assert found == everything
    assert paths(Folder(str(allowed), "a/")) == [name for name in everything if name.startswith("a/")]


def test_a_walk_inside_a_folder_goes_on_where_it_was(allowed: Path) -> None:
    write(allowed, *(f"{night}/{number}.jpg" for night in "abc" for number in range(3)))
    page = next(Folder(str(allowed), "b/", page=1).pages())
    assert [found.path for found in page.found] == ["b/0.jpg"]
    assert paths(Folder(str(allowed), "b/"), page.last) == ["b/1.jpg", "b/2.jpg"]


def test_a_file_that_vanishes_during_the_walk_is_left_out(allowed: Path) -> None:
    write(allowed, "1.jpg", "2.jpg", "night/3.jpg")
    pages = Folder(str(allowed), page=1).pages()
    assert next(pages).found == [Found("1.jpg", 1)]
    (allowed / "2.jpg").unlink()
    (allowed / "night/3.jpg").unlink()
    (allowed / "night").rmdir()
    assert [page.found for page in pages] == [[]]


def test_names_that_are_no_text_are_reported_and_passed(allowed: Path) -> None:
    write(allowed, "1.jpg", "3.jpg")
    odd = os.fsencode(allowed) + b"/2\xff.jpg"
    with open(odd, "wb"):
        pass
    first, second, last, end = Folder(str(allowed), page=1).pages()
    assert (end.found, end.last) == ([], last.last)
    assert (first.unnameable, second.unnameable, last.unnameable) == ([], ["2?.jpg"], [])
    assert paths(Folder(str(allowed)), second.last) == ["3.jpg"]


@pytest.mark.parametrize(
    ("path", "image"),
    [("a.jpg", True), ("x/B.JPEG", True), ("a.png", True), ("jpg", False), (".jpg", False), ("a.jpg/", False),
     ("a.txt", False), ("x.d/a", False), ("x/.a.jpg", False), ("", False)],
)  # fmt: skip
def test_images_are_known_by_their_names(path: str, image: bool) -> None:
    assert is_image(path) is image


def test_parts_of_a_path_make_a_prefix() -> None:
    assert [folder_of("", ""), folder_of("/a/", "b/c/"), folder_of("", "/x")] == ["", "a/b/c/", "x/"]

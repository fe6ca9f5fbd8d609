"""Import of a folder of images."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from pytest_django.fixtures import Settings

from ami.base.errors import InvalidInput
from ami.main.images import UnreadableImage, checksum_of, read_facts, time_in_name
from ami.main.importing import import_folder
from ami.main.models import Deployment, SourceImage
from ami.main.projects import create_project
from ami.main.tests.factories import image_bytes, make_deployment, make_project

LOCAL = datetime(2022, 9, 16, 22, 19, 59)  # noqa: DTZ001 - what a camera says has no zone


@pytest.mark.parametrize(
    ("name", "time"),
    [
        ("20220916221959-00-6.jpg", LOCAL),
        ("cam1_2022-09-16_22-19-59.png", LOCAL),
        ("20220916_221959.jpg", LOCAL),
        ("2022-09-16T22:19:59.jpg", LOCAL),
        ("99999999999999-20220916221959.jpg", LOCAL),
        ("20221316221959.jpg", None),
        ("120220916221959.jpg", None),
        ("moth.jpg", None),
    ],
)
def test_a_time_in_a_file_name_is_found(name: str, time: datetime | None) -> None:
    assert time_in_name(name) == time


def test_the_facts_of_an_image() -> None:
    data = image_bytes((64, 48), taken="2022:09:16 22:19:59")
    facts = read_facts(data)
    assert (facts.width, facts.height, facts.size) == (64, 48, len(data))
    assert facts.checksum == checksum_of(data)
    assert facts.taken_at == LOCAL


def test_a_camera_that_knows_its_zone_is_believed() -> None:
    taken = read_facts(image_bytes(taken="2022:09:16 22:19:59", offset="-05:00")).taken_at
    assert taken == datetime(2022, 9, 17, 3, 19, 59, tzinfo=UTC)


@pytest.mark.parametrize("taken", ["0000:00:00 00:00:00", "yesterday", "    "])
def test_a_camera_that_does_not_know_the_time_is_not_believed(taken: str) -> None:
    assert read_facts(image_bytes(taken=taken)).taken_at is None


@pytest.mark.parametrize("data", [b"", b"not an image", b"GIF89a", b"\xff\xd8\xff\xe0"])
def test_what_is_no_image_is_refused_with_a_sentence(data: bytes) -> None:
    with pytest.raises(UnreadableImage, match=r"\.$"):
        read_facts(data)


@pytest.mark.parametrize("fmt", ["JPEG", "PNG"])
def test_a_truncated_image_is_refused(fmt: str) -> None:
    data = image_bytes((640, 480), fmt)
    with pytest.raises(UnreadableImage, match="damaged"):
        read_facts(data[: len(data) // 2])


def test_an_image_without_any_picture_in_it_is_refused() -> None:
    data = image_bytes(fmt="PNG")
    head, end = data[:33], data[-12:]
    with pytest.raises(UnreadableImage, match="damaged"):
        read_facts(head + end)


@pytest.mark.parametrize("fmt", ["JPEG", "PNG"])
@pytest.mark.parametrize("size", [(1, 1), (7, 64), (64, 7)])
def test_the_smallest_images_have_a_size(fmt: str, size: tuple[int, int]) -> None:
    facts = read_facts(image_bytes(size, fmt))
    assert (facts.width, facts.height) == size


def test_an_image_of_too_many_pixels_is_refused_before_it_is_decoded(settings: Settings) -> None:
    settings.IMPORT_MAX_PIXELS = 1000
    with pytest.raises(UnreadableImage, match="64 x 48"):
        read_facts(image_bytes((64, 48)))


@pytest.fixture
def station(db: None) -> Deployment:
    return make_deployment(make_project(), time_zone="America/Panama")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two good images, one of them in a subfolder, a broken one, and what is none of ours."""
    folder = tmp_path / "card"
    (folder / "night1").mkdir(parents=True)
    (folder / ".trash").mkdir()
    (folder / "20220916221959.jpg").write_bytes(image_bytes(color=1))
    (folder / "night1/moth.PNG").write_bytes(image_bytes(fmt="PNG", color=2))
    (folder / "broken.jpg").write_bytes(image_bytes((640, 480))[:900])
    (folder / "notes.txt").write_text("notes")
    (folder / ".trash/old.jpg").write_bytes(image_bytes(color=3))
    return folder


@pytest.mark.integration
def test_every_readable_image_becomes_a_capture(station: Deployment, folder: Path, media: Path) -> None:
    report = import_folder(deployment=station, folder=folder)
    assert (report.imported, report.already_there, report.without_time) == (2, 0, 1)
    assert [name for name, _ in report.broken] == ["broken.jpg"]
    dated = SourceImage.objects.get(path__endswith="20220916221959.jpg")
    assert dated.path == f"captures/{station.project_id}/{station.pk}/20220916221959.jpg"
    assert dated.timestamp == datetime(2022, 9, 17, 3, 19, 59, tzinfo=UTC)
    assert (dated.project_id, dated.width, dated.height) == (station.project_id, 64, 48)
    assert dated.public_base_url == ""
    assert (media / dated.path).read_bytes() == (folder / "20220916221959.jpg").read_bytes()
    assert SourceImage.objects.get(path__endswith="night1/moth.PNG").timestamp is None


@pytest.mark.integration
def test_an_import_can_be_repeated(station: Deployment, folder: Path, media: Path) -> None:
    import_folder(deployment=station, folder=folder)
    (folder / "copy.jpg").write_bytes((folder / "20220916221959.jpg").read_bytes())
    (folder / "new.jpg").write_bytes(image_bytes(color=9))
    report = import_folder(deployment=station, folder=folder)
    assert (report.imported, report.already_there) == (1, 3)
    assert SourceImage.objects.count() == 3


@pytest.mark.integration
def test_another_station_has_its_own_captures(station: Deployment, folder: Path, media: Path) -> None:
    import_folder(deployment=station, folder=folder)
    assert import_folder(deployment=make_deployment(station.project), folder=folder).imported == 2


@pytest.mark.integration
def test_a_limit_counts_new_captures(station: Deployment, folder: Path, media: Path) -> None:
    assert import_folder(deployment=station, folder=folder, limit=1).imported == 1
    assert import_folder(deployment=station, folder=folder, limit=1).imported == 1
    assert import_folder(deployment=station, folder=folder, limit=1).imported == 0


@pytest.mark.integration
def test_moving_deletes_what_was_imported_and_nothing_else(
    station: Deployment, folder: Path, media: Path
) -> None:
    import_folder(deployment=station, folder=folder, move=True)
    left = sorted(path.name for path in folder.rglob("*") if path.is_file())
    assert left == ["broken.jpg", "notes.txt", "old.jpg"]


@pytest.mark.integration
def test_damaged_files_can_be_kept(station: Deployment, folder: Path, media: Path) -> None:
    report = import_folder(deployment=station, folder=folder, allow_unreadable=True)
    assert (report.imported, report.broken) == (3, [])
    broken = SourceImage.objects.get(path__endswith="broken.jpg")
    assert (broken.width, broken.size) == (None, 900)
    assert (media / broken.path).exists()


@pytest.mark.integration
def test_a_name_that_cannot_be_stored_is_reported(station: Deployment, folder: Path, media: Path) -> None:
    Path(os.fsdecode(os.fsencode(str(folder)) + b"/\xff.jpg")).write_bytes(image_bytes(color=5))
    report = import_folder(deployment=station, folder=folder)
    assert [name for name, _ in report.broken] == ["broken.jpg", "?.jpg"]


@pytest.mark.integration
@pytest.mark.parametrize("name", ["empty", "missing"])
def test_a_folder_without_images_is_refused_with_a_sentence(
    station: Deployment, tmp_path: Path, media: Path, name: str
) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(InvalidInput, match=name):
        import_folder(deployment=station, folder=tmp_path / name)


@pytest.mark.integration
def test_the_command_imports_and_says_what_happened(db: None, folder: Path, media: Path) -> None:
    project = create_project(name="P", owner=None)
    station, out, err = project.deployments.get(), StringIO(), StringIO()
    call_command("import_captures", deployment=station.pk, folder=folder, stdout=out, stderr=err)
    assert "2 imported (1 without a time), 0 already there, 1 damaged." in out.getvalue()
    assert "broken.jpg" in err.getvalue()
    assert project.captures.count() == 2


@pytest.mark.integration
def test_the_command_says_what_is_wrong(station: Deployment, tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="no deployment 999999"):
        call_command("import_captures", deployment=999999, folder=tmp_path)
    with pytest.raises(CommandError, match="no JPEG or PNG"):
        call_command("import_captures", deployment=station.pk, folder=tmp_path)

"""Small versions of our own captures: made once, kept, and never a 500."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import pytest
from django.db import connection
from PIL import Image
from pytest_django.fixtures import Settings

from ami.dashboard import thumbnails
from ami.dashboard.tests.conftest import Visit
from ami.dashboard.tests.reading import read
from ami.main.images import checksum_of
from ami.main.models import Deployment, SourceImage, StorageSource
from ami.main.tests.factories import image_bytes, make_capture, make_deployment
from ami.main.tests.people import People

pytestmark = [pytest.mark.integration, pytest.mark.django_db]


@pytest.fixture
def station(people: People) -> Deployment:
    """A station of the public project."""
    return make_deployment(people.project)


def stored(station: Deployment, media: Path, data: bytes, name: str = "moth.jpg") -> SourceImage:
    """A capture in our own storage."""
    (media / name).write_bytes(data)
    return make_capture(station, path=name, public_base_url="", checksum=checksum_of(data))


def address(capture: SourceImage, width: int = 320) -> str:
    """Where its thumbnail is."""
    return f"/captures/{capture.pk}/thumbnail/{width}/"


@pytest.mark.parametrize(("fmt", "name"), [("JPEG", "moth.jpg"), ("PNG", "moth.png")])
@pytest.mark.parametrize("width", thumbnails.WIDTHS)
def test_a_thumbnail_has_the_width_and_the_shape_of_the_picture(
    fmt: str, name: str, width: int, visit: Visit, station: Deployment, media: Path
) -> None:
    capture = stored(station, media, image_bytes((3200, 1800), fmt), name)
    answer = visit("anonymous").get(address(capture, width))
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "image/jpeg")
    with Image.open(BytesIO(answer.content)) as image:
        assert image.size == (width, width * 9 // 16)


def test_a_small_picture_is_not_blown_up(visit: Visit, station: Deployment, media: Path) -> None:
    answer = visit("anonymous").get(address(stored(station, media, image_bytes((64, 48)))))
    with Image.open(BytesIO(answer.content)) as image:
        assert image.size == (64, 48)


def test_it_is_made_once_and_kept_by_its_content(visit: Visit, station: Deployment, media: Path) -> None:
    data = image_bytes((640, 480))
    capture = stored(station, media, data)
    first = visit("anonymous").get(address(capture)).content
    (kept,) = (media / "thumbnails").rglob("*.jpg")
    assert kept == media / "thumbnails" / "320" / checksum_of(data)[:2] / f"{checksum_of(data)}.jpg"
    assert kept.read_bytes() == first
    kept.write_bytes(b"kept")
    twin = stored(station, media, data, "again.jpg")
    assert visit("anonymous").get(address(twin)).content == b"kept"


def test_browsers_keep_it_and_its_address_changes_with_its_content(
    visit: Visit, station: Deployment, media: Path
) -> None:
    capture = stored(station, media, image_bytes())
    keeping = visit("anonymous").get(address(capture)).headers["Cache-Control"]
    assert keeping == "private, max-age=604800, immutable"
    (image,) = read(visit("anonymous"), f"/stations/{station.pk}/").all("img")
    assert image.attributes["src"] == f"{address(capture)}?v={capture.checksum[:12]}"
    assert f"{address(capture, 640)}?v={capture.checksum[:12]} 640w" in image.attributes["srcset"]


def test_without_a_checksum_a_changed_file_gets_a_new_one(
    visit: Visit, station: Deployment, media: Path
) -> None:
    capture = stored(station, media, image_bytes(color=1))
    SourceImage.objects.filter(pk=capture.pk).update(checksum="../../evil")
    first = visit("anonymous").get(address(capture)).content
    (media / "moth.jpg").write_bytes(image_bytes((65, 48), color=200))
    assert visit("anonymous").get(address(capture)).content != first
    assert {path.parent.parent.parent.name for path in media.rglob("*.jpg")} == {
        "thumbnails",
        media.parent.parent.name,
    }


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"this is no picture",
        image_bytes((640, 480))[:-200],
        image_bytes((640, 480), "PNG")[:60],
        b"\x89PNG\r\n\x1a\n" + bytes(100),
    ],
    ids=["empty", "text", "cut JPEG", "cut PNG", "zeros"],
)
def test_a_damaged_file_is_a_drawing_that_says_so(
    data: bytes, visit: Visit, station: Deployment, media: Path
) -> None:
    capture = stored(station, media, data)
    answer = visit("anonymous").get(address(capture))
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "image/svg+xml")
    assert answer.headers["Cache-Control"] == "private, max-age=60"
    assert b"No picture" in answer.content
    assert not list((media / "thumbnails").rglob("*.jpg"))


def test_a_missing_file_is_a_drawing_too(visit: Visit, station: Deployment, media: Path) -> None:
    capture = stored(station, media, image_bytes())
    (media / "moth.jpg").unlink()
    assert visit("anonymous").get(address(capture)).headers["Content-Type"] == "image/svg+xml"


def test_no_path_leads_out_of_the_storage(visit: Visit, station: Deployment, media: Path) -> None:
    (media.parent / "secret.jpg").write_bytes(image_bytes())
    capture = stored(station, media, image_bytes())
    SourceImage.objects.filter(pk=capture.pk).update(path="../secret.jpg")
    assert visit("anonymous").get(address(capture)).headers["Content-Type"] == "image/svg+xml"


def test_a_picture_too_large_to_decode_whole_is_left_alone(
    visit: Visit, station: Deployment, media: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(thumbnails, "MOST_WITHOUT_DRAFT", 100)
    png = stored(station, media, image_bytes(fmt="PNG"), "a.png")
    jpeg = stored(station, media, image_bytes(), "b.jpg")
    assert visit("anonymous").get(address(png)).headers["Content-Type"] == "image/svg+xml"
    assert visit("anonymous").get(address(jpeg)).headers["Content-Type"] == "image/jpeg"
    settings.IMPORT_MAX_PIXELS = 100
    other = stored(station, media, image_bytes(color=7), "c.jpg")
    assert visit("anonymous").get(address(other)).headers["Content-Type"] == "image/svg+xml"


def test_a_storage_that_cannot_keep_it_still_shows_it(visit: Visit, station: Deployment, media: Path) -> None:
    (media / "thumbnails").write_text("a file where the folder should be")
    capture = stored(station, media, image_bytes())
    assert visit("anonymous").get(address(capture)).headers["Content-Type"] == "image/jpeg"


def test_there_is_none_of_a_capture_elsewhere_and_none_of_another_width(
    visit: Visit, station: Deployment, media: Path
) -> None:
    assert visit("anonymous").get(address(make_capture(station))).status_code == 404
    capture = stored(station, media, image_bytes())
    assert visit("anonymous").get(address(capture, 321)).status_code == 404


def test_a_capture_in_a_data_source_is_not_looked_for_in_our_storage(
    visit: Visit, station: Deployment, media: Path
) -> None:
    capture = stored(station, media, image_bytes())
    source = StorageSource.objects.create(project=station.project, name="Bucket", bucket="traps")
    SourceImage.objects.filter(pk=capture.pk).update(data_source=source)
    assert visit("anonymous").get(address(capture)).status_code == 404


def test_colours_of_all_kinds_can_be_made_small(visit: Visit, station: Deployment, media: Path) -> None:
    for mode in ("1", "L", "LA", "P", "RGBA", "I;16"):
        buffer = BytesIO()
        Image.new(mode, (64, 48)).save(buffer, "PNG")
        capture = stored(station, media, buffer.getvalue(), f"{mode.replace(';', '')}.png")
        assert visit("anonymous").get(address(capture)).headers["Content-Type"] == "image/jpeg", mode
    buffer = BytesIO()
    Image.new("CMYK", (64, 48)).save(buffer, "JPEG")
    capture = stored(station, media, buffer.getvalue(), "cmyk.jpg")
    assert visit("anonymous").get(address(capture)).headers["Content-Type"] == "image/jpeg"


def test_what_exif_says_of_turning_is_not_heeded_for_boxes_know_nothing_of_it(
    visit: Visit, station: Deployment, media: Path
) -> None:
    buffer = BytesIO()
    image = Image.new("RGB", (640, 480))
    exif = image.getexif()
    exif[0x0112] = 6
    image.save(buffer, "JPEG", exif=exif)
    answer = visit("anonymous").get(address(stored(station, media, buffer.getvalue())))
    with Image.open(BytesIO(answer.content)) as small:
        assert small.size == (320, 240)
        assert 0x0112 not in small.getexif()


@pytest.mark.django_db(transaction=True)
def test_who_waits_for_a_thumbnail_keeps_no_database_connection(
    media: Path, visit: Visit, station: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    capture = stored(station, media, image_bytes())
    held: list[bool] = []
    make = thumbnails._make

    def watched(source: Path, width: int) -> bytes:
        held.append(connection.connection is not None)
        return make(source, width)

    monkeypatch.setattr(thumbnails, "_make", watched)
    assert visit("anonymous").get(address(capture)).status_code == 200
    assert held == [False]

"""Fetching images: what fails, fails alone, says why, and costs no more than allowed."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator

import pytest
from PIL import Image

from ami.ml.schemas import PipelineProcessingTask
from ami.worker.download import Downloader, DownloadLimits, FailedImage, decode_image
from ami.worker.errors import ImageUnusable
from ami.worker.pipeline import LoadedImage
from ami.worker.tests.conftest import RecordedWaits
from ami.worker.tests.contract_server import ContractServer, image_file


@pytest.fixture
def downloader(stop: RecordedWaits) -> Iterator[Downloader]:
    limits = DownloadLimits(max_bytes=20_000, max_pixels=10_000, connect_seconds=2, read_seconds=2)
    downloader = Downloader(threads=4, limits=limits, stop=stop)
    yield downloader
    downloader.close()


def task(url: str, image_id: str = "1") -> PipelineProcessingTask:
    return PipelineProcessingTask(id=image_id, image_id=image_id, image_url=url, reply_subject="lease")


def failed(downloader: Downloader, url: str) -> FailedImage:
    (image,) = downloader.load([task(url)])
    assert isinstance(image, FailedImage)
    return image


def test_images_come_in_the_order_of_their_tasks(downloader: Downloader, server: ContractServer) -> None:
    colours = ["red", "green", "blue", "white", "black", "yellow"]
    server.images = {colour: image_file(colour) for colour in colours}
    images = downloader.load([task(f"{server.base}/images/{colour}", colour) for colour in colours])
    assert [image.id for image in images] == colours
    first = images[0]
    assert isinstance(first, LoadedImage)
    assert first.image.mode == "RGB"
    assert first.array.shape == (48, 64, 3)
    assert tuple(first.array[0, 0]) == (255, 0, 0)


def test_image_hosts_never_see_our_token(downloader: Downloader, server: ContractServer) -> None:
    server.images["1"] = image_file()
    downloader.load([task(f"{server.base}/images/1")])
    (request,) = server.seen("/images/1")
    assert "Authorization" not in request.headers


def test_one_bad_image_does_not_spoil_the_batch(downloader: Downloader, server: ContractServer) -> None:
    server.images = {"good": image_file(), "bad": b"<html>no picture</html>"}
    images = downloader.load([task(f"{server.base}/images/{name}", name) for name in ("bad", "good")])
    assert [type(image) for image in images] == [FailedImage, LoadedImage]


def test_missing_image_is_final_and_asked_for_once(downloader: Downloader, server: ContractServer) -> None:
    image = failed(downloader, f"{server.base}/images/none")
    assert (image.retryable, "404" in image.reason) == (False, True)
    assert len(server.seen("/images/none")) == 1


def test_busy_image_host_is_asked_again(
    downloader: Downloader, server: ContractServer, stop: RecordedWaits
) -> None:
    server.images["1"] = image_file()
    server.fail("/images/1", 503, times=2, headers={"Retry-After": "3"})
    (image,) = downloader.load([task(f"{server.base}/images/1")])
    assert isinstance(image, LoadedImage)
    assert all(3 <= wait <= 3.6 for wait in stop.waits)


def test_busy_image_host_is_given_up_and_may_be_tried_later(
    downloader: Downloader, server: ContractServer
) -> None:
    server.fail("/images/1", 503, times=9)
    assert failed(downloader, f"{server.base}/images/1").retryable
    assert len(server.seen("/images/1")) == 3


def test_broken_connection_may_be_tried_later(downloader: Downloader, server: ContractServer) -> None:
    server.fail("/images/1", None, times=9)
    assert failed(downloader, f"{server.base}/images/1").retryable


@pytest.mark.parametrize("url", ["relative/1.jpg", "", "ftp://example.org/1.jpg", "http://", "http://[::1"])
def test_address_that_cannot_be_downloaded_is_final(downloader: Downloader, url: str) -> None:
    assert not failed(downloader, url).retryable


def test_reason_does_not_give_away_a_signed_address(downloader: Downloader, server: ContractServer) -> None:
    image = failed(downloader, f"{server.base}/images/none?X-Amz-Signature=secret")
    assert "secret" not in image.reason
    assert "/images/none" in image.reason


def test_file_that_is_too_long_is_not_read_to_its_end(downloader: Downloader, server: ContractServer) -> None:
    server.images["1"] = b"\xff" * 2_000_000
    image = failed(downloader, f"{server.base}/images/1")
    assert "20,000 bytes" in image.reason
    assert not image.retryable


def _bomb(side: int) -> bytes:
    """A PNG of a few bytes that claims to be enormous."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        body = kind + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" * 99))


@pytest.mark.parametrize("side", [101, 8_000, 13_000, 60_000])
def test_picture_with_too_many_pixels_is_refused_before_it_is_decoded(side: int) -> None:
    with pytest.raises(ImageUnusable, match="pixels"):
        decode_image(_bomb(side), max_pixels=10_000)


def test_limit_of_a_downloader_is_not_the_limit_of_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", None)
    Downloader(limits=DownloadLimits(max_pixels=100)).close()
    assert Image.new("RGB", (400, 300)).crop((0, 0, 300, 300)).size == (300, 300)


def test_damaged_picture_is_refused_in_words() -> None:
    buffer = io.BytesIO()
    Image.effect_noise((200, 200), 80).convert("RGB").save(buffer, "JPEG")
    with pytest.raises(ImageUnusable, match="damaged"):
        decode_image(buffer.getvalue()[:2000], max_pixels=10**6)
    with pytest.raises(ImageUnusable, match="JPEG"):
        decode_image(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n", max_pixels=10**6)


@pytest.mark.parametrize("mode", ["L", "RGBA", "P", "1", "CMYK", "I;16"])
def test_every_kind_of_picture_becomes_rgb(mode: str) -> None:
    buffer = io.BytesIO()
    Image.new(mode, (8, 6)).save(buffer, "TIFF")
    assert decode_image(buffer.getvalue(), max_pixels=100).mode == "RGB"

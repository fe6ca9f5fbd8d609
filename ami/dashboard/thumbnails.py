"""Small versions of captures in our own storage: made when somebody looks, kept under `thumbnails/`.

They are named after the content, so a capture that is imported again under another name finds its own, and
nothing ever goes stale. The folder may be deleted at any time.
"""

from __future__ import annotations

import struct
from contextlib import suppress
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from threading import BoundedSemaphore
from uuid import uuid4

import structlog
from django.conf import settings
from django.db import connection
from PIL import Image

from ami.base.errors import AmiError
from ami.main.images import FORMATS
from ami.main.media import media_file
from ami.main.models import SourceImage

logger = structlog.get_logger(__name__)

WIDTHS = (320, 640, 1600)
"""The sizes that there are, in pixels: a tile, a tile on a fine screen, the picture on its page."""

FOLDER = "thumbnails"
QUALITY = 82
MOST_WITHOUT_DRAFT = 60_000_000
"""Pixels of a PNG: unlike a JPEG it is decoded whole before it can be made small, at three bytes each."""

_at_once = BoundedSemaphore(2)
"""A page asks for dozens at a time. They must not take all processors and memory from other calls."""

_DAMAGED = (OSError, SyntaxError, ValueError, EOFError, LookupError, ArithmeticError, struct.error)
"""What Pillow raises for files that are not what they say."""


class NoThumbnail(AmiError):
    """There is no picture to be made small."""

    code = "no_thumbnail"
    http_status = 404


def thumbnail_of(capture: SourceImage, width: int) -> bytes:
    """A JPEG of at most this width. Raises NoThumbnail, or FileGone, where the file is damaged or not here.

    Safe to call twice at a time: both make the same, and the last one is kept.
    """
    if not has_thumbnails(capture):
        raise NoThumbnail
    source = media_file(capture.path)
    kept = Path(settings.MEDIA_ROOT, FOLDER, str(width), *_name(capture, source))
    try:
        return kept.read_bytes()
    except OSError:
        pass
    if not connection.in_atomic_block:
        connection.close_if_unusable_or_obsolete()  # who waits here keeps no place in the pool from others
    with _at_once:
        data = _make(source, width)
    _keep(data, kept)
    return data


def has_thumbnails(capture: SourceImage) -> bool:
    """Whether its file is ours: what lies elsewhere is fetched by the browser, never by us."""
    return bool(capture.path) and not capture.public_base_url and capture.data_source_id is None


def _name(capture: SourceImage, source: Path) -> tuple[str, str]:
    """Folder and file: the checksum of the content, or what stands for it where nobody counted one."""
    name = capture.checksum
    if not (len(name) == 64 and name.isalnum() and name.isascii()):
        stat = source.stat()
        name = sha256(f"{source}\0{stat.st_size}\0{stat.st_mtime_ns}".encode("utf-8", "replace")).hexdigest()
    return name[:2], f"{name}.jpg"


def _make(source: Path, width: int) -> bytes:
    box = (width, 2 * width)
    buffer = BytesIO()
    try:
        with Image.open(source, formats=FORMATS) as image:
            pixels = image.width * image.height
            most = settings.IMPORT_MAX_PIXELS if image.format == "JPEG" else MOST_WITHOUT_DRAFT
            if pixels > most:
                raise NoThumbnail("The picture is too large to be made small here.")
            image.draft("RGB", box)  # a JPEG is decoded at a half, a quarter or an eighth: many times as fast
            image.thumbnail(box, reducing_gap=2.0)
            # As the file has it, whatever its EXIF says of turning: boxes are counted in the file's pixels.
            image.convert("RGB").save(buffer, "JPEG", quality=QUALITY, progressive=True)
    except _DAMAGED as error:
        raise NoThumbnail(f"The picture is damaged: {error}.") from None
    return buffer.getvalue()


def _keep(data: bytes, target: Path) -> None:
    """Store it whole or not at all; a full disk costs time, and nobody their picture."""
    partial = target.with_name(f".{uuid4().hex}")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        partial.write_bytes(data)
        partial.replace(target)
    except OSError as error:
        with suppress(OSError):
            partial.unlink()
        logger.warning("thumbnail.not_kept", path=str(target), error=str(error))

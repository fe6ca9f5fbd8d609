"""What an image file says about itself: size, checksum, and when it was taken."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from io import BytesIO
from typing import BinaryIO

from django.conf import settings
from PIL import ExifTags, Image, UnidentifiedImageError

from ami.base.errors import InvalidInput

FORMATS = ("JPEG", "PNG")
SUFFIXES = frozenset({".jpg", ".jpeg", ".png"})
CONTENT_TYPES = {".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".png": "image/png"}

# Our own limit, IMPORT_MAX_PIXELS, takes the place of Pillow's, which is lower than what stations deliver.
Image.MAX_IMAGE_PIXELS = None

_NAMED_TIMES = (
    re.compile(r"(?<!\d)(\d{4})(\d{2})(\d{2})(\d{2})(\d{2})(\d{2})(?!\d)"),
    re.compile(r"(?<!\d)(\d{4})(\d{2})(\d{2})[-_T ](\d{2})(\d{2})(\d{2})(?!\d)"),
    re.compile(r"(?<!\d)(\d{4})[-_.](\d{2})[-_.](\d{2})[-_T .](\d{2})[-_:.](\d{2})[-_:.](\d{2})(?!\d)"),
)


class UnreadableImage(InvalidInput):
    """This is not an image that can be read."""

    code = "unreadable_image"


@dataclass(frozen=True)
class ImageFacts:
    """Facts of one file. `taken_at` is the camera's word: naive unless the camera knew its zone."""

    width: int
    height: int
    size: int
    checksum: str
    taken_at: datetime | None


@dataclass(frozen=True)
class Header:
    """What the beginning of a file says. `taken_at` is the camera's word, as in `ImageFacts`."""

    width: int
    height: int
    taken_at: datetime | None


def read_header(file: BinaryIO) -> Header:
    """Size and time of a JPEG or PNG, read from its beginning alone: damage further on is not noticed.

    Raises UnreadableImage.
    """
    try:
        with Image.open(file, formats=FORMATS) as image:
            return Header(*image.size, _time_in_exif(image.info.get("exif")))
    except UnidentifiedImageError:
        raise UnreadableImage("The file is not a JPEG or PNG image.") from None
    except (OSError, SyntaxError, ValueError, EOFError, struct.error) as error:
        raise UnreadableImage(f"The image is damaged: {error}.") from None
    except (LookupError, ArithmeticError):
        raise UnreadableImage("The image is damaged.") from None


def read_facts(data: bytes) -> ImageFacts:
    """The facts of a JPEG or PNG; reads it to the end, so damage is noticed. Raises UnreadableImage."""
    try:
        with Image.open(BytesIO(data), formats=FORMATS) as image:
            width, height = image.size
            if width * height > settings.IMPORT_MAX_PIXELS:
                raise UnreadableImage(
                    f"The image has {width} x {height} pixels; the limit is {settings.IMPORT_MAX_PIXELS}."
                )
            taken_at = _time_in_exif(image.info.get("exif"))
            if image.format == "PNG":
                image.verify()  # reads every byte, decodes none: a small file can hold a huge picture
            else:
                image.draft("L", (max(1, width // 8), max(1, height // 8)))
                image.load()  # reads every byte, but computes little
    except UnidentifiedImageError:
        raise UnreadableImage("The file is not a JPEG or PNG image.") from None
    except (OSError, SyntaxError, ValueError, EOFError, struct.error) as error:
        raise UnreadableImage(f"The image is damaged: {error}.") from None
    except (LookupError, ArithmeticError):  # Pillow stumbled over what is missing, and has no words for it
        raise UnreadableImage("The image is damaged.") from None
    return ImageFacts(width, height, len(data), checksum_of(data), taken_at)


def checksum_of(data: bytes) -> str:
    """SHA-256, hexadecimal."""
    return sha256(data).hexdigest()


def time_in_name(name: str) -> datetime | None:
    """The time in a file name such as `20220916221959-00-6.jpg` or `2022-09-16_22-19-59.png`; naive."""
    for pattern in _NAMED_TIMES:
        for match in pattern.finditer(name):
            with suppress(ValueError):
                return datetime(*(int(part) for part in match.groups()))  # type: ignore[arg-type]  # noqa: DTZ001
    return None


def _time_in_exif(block: bytes | None) -> datetime | None:
    for text, offset in _exif_times(block) if block else ():
        with suppress(ValueError):
            return datetime.strptime(f"{text}{offset}", "%Y:%m:%d %H:%M:%S%z")
        with suppress(ValueError):
            return datetime.strptime(text, "%Y:%m:%d %H:%M:%S")  # noqa: DTZ007 - cameras say no zone
    return None


def _exif_times(block: bytes) -> Iterator[tuple[str, str]]:
    """Times and their offsets as text, the best first; a damaged EXIF block has none."""
    exif = Image.Exif()
    try:
        exif.load(block)
        details = exif.get_ifd(ExifTags.IFD.Exif)
    except (OSError, SyntaxError, ValueError, KeyError, struct.error):
        return
    base = ExifTags.Base
    for source, time_tag, offset_tag in (
        (details, base.DateTimeOriginal, base.OffsetTimeOriginal),
        (details, base.DateTimeDigitized, base.OffsetTimeDigitized),
        (exif, base.DateTime, base.OffsetTime),
    ):
        text = str(source.get(time_tag, "")).strip("\x00 ")
        if text:
            yield text, str(source.get(offset_tag, "")).strip("\x00 ")

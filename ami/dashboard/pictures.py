"""Where the pictures of a capture are, as a page needs to know."""

from __future__ import annotations

from dataclasses import dataclass

from django.urls import reverse

from ami.dashboard.thumbnails import WIDTHS, has_thumbnails
from ami.main.addresses import address_of
from ami.main.models import SourceImage


@dataclass(frozen=True)
class Picture:
    """Addresses of one picture; empty where there is none."""

    small: str = ""
    """For a tile of a grid."""
    small_set: str = ""
    """The same in several sizes, for `srcset`."""
    large: str = ""
    """For its own page."""
    full: str = ""
    """The file itself."""


def picture_of(capture: SourceImage) -> Picture:
    """The picture of a capture: our own small versions, or the file on the server where it lies."""
    full = _address(capture)
    if not full:
        return Picture()
    if not has_thumbnails(capture):
        return Picture(small=full, large=full, full=full)
    small, fine, large = (_thumbnail(capture, width) for width in WIDTHS)
    return Picture(small, f"{small} {WIDTHS[0]}w, {fine} {WIDTHS[1]}w", large, full)


def _thumbnail(capture: SourceImage, width: int) -> str:
    """With the content in its address: what a browser keeps is never out of date."""
    return f"{reverse('dashboard:capture-thumbnail', args=[capture.pk, width])}?v={capture.checksum[:12]}"


def _address(capture: SourceImage) -> str:
    """The address of the file, if a link may lead there: what is neither `http` nor ours is no picture."""
    address = address_of(capture, "") or ""
    return address if address.lower().startswith(("https://", "http://", "/api/")) else ""

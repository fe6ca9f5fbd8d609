"""Addresses of many captures at once, in one query and without the ORM: a worker waits for them."""

from __future__ import annotations

from collections.abc import Collection

from ami.base.database import rows
from ami.main.media import capture_url
from ami.main.models import SourceImage
from ami.main.storage.origins import COLUMNS, Origin, origin_of

_FIND = f"""
SELECT c.id, c.path, c.public_base_url, s.id, {", ".join(f"s.{name}" for name in COLUMNS)}
FROM main_sourceimage c LEFT JOIN main_storagesource s ON s.id = c.data_source_id WHERE c.id = ANY(%s)
"""  # noqa: S608 - names of columns


def addresses(capture_ids: Collection[int], base_url: str) -> dict[int, str]:
    """The address of each capture that exists; empty for one without a file."""
    found = {}
    for key, path, public_base_url, source, *origin in rows(_FIND, [list(capture_ids)]):
        place = None if source is None else Origin(*origin)
        found[key] = capture_url(path, public_base_url, key, base_url, place) or ""
    return found


def address_of(capture: SourceImage, base_url: str) -> str | None:
    """The address of a capture that the ORM read; best with its `data_source`. None if it has no file."""
    origin = None if capture.data_source is None else origin_of(capture.data_source)
    return capture_url(capture.path, capture.public_base_url, capture.pk, base_url, origin)

"""Where the images of tasks are fetched: absolute addresses, made when a task is handed out."""

from __future__ import annotations

from collections.abc import Collection

from ami.base.database import rows
from ami.main.media import capture_url


def urls_of(image_ids: Collection[int], base_url: str) -> dict[int, str]:
    """The address of each capture that exists; empty for one without a file. One query for all.

    `base_url`: scheme and host under which we are reached, for images in our own storage.
    """
    found = rows(
        "SELECT id, path, public_base_url FROM main_sourceimage WHERE id = ANY(%s)", [list(image_ids)]
    )
    return {row[0]: capture_url(row[1], row[2], row[0], base_url) or "" for row in found}

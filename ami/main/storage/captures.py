"""Turns files that were found into captures of a station: which are new, when they were taken, the rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from ami.base.api.fields import in_zone
from ami.base.database import execute, rows
from ami.main.images import UnreadableImage, read_header, time_in_name
from ami.main.media import FileGone, file_below
from ami.main.models import Deployment, StorageSource
from ami.main.models.storage import StorageKind
from ami.main.storage.folders import allowed_folder
from ami.main.storage.listing import Found, Page
from ami.main.storage.sources import images_in

LONGEST_PATH = 1024

_KNOWN = "SELECT path FROM main_sourceimage WHERE deployment_id = %s AND path = ANY(%s)"
_INSERT = """
INSERT INTO main_sourceimage (project_id, deployment_id, data_source_id, path, public_base_url, timestamp,
    width, height, size, checksum, test_image, created_at, updated_at)
SELECT %(project)s, %(deployment)s, %(source)s, n.path, '', n.taken, n.width, n.height, n.size, '', false,
    clock_timestamp(), clock_timestamp()
FROM unnest(%(paths)s::text[], %(taken)s::timestamptz[], %(widths)s::int[], %(heights)s::int[],
    %(sizes)s::bigint[]) AS n(path, taken, width, height, size)
ON CONFLICT DO NOTHING
"""


@dataclass(frozen=True, slots=True)
class NewCapture:
    """A file that becomes a capture."""

    path: str
    size: int
    taken_at: datetime | None
    width: int | None = None
    height: int | None = None


@dataclass(slots=True)
class Judged:
    """A page of files, looked at."""

    images: int = 0
    bytes: int = 0
    skipped: int = 0
    new: list[NewCapture] = field(default_factory=list)
    broken: list[tuple[str, str]] = field(default_factory=list)
    """Files that cannot become captures, and why."""


def judge_page(
    deployment: Deployment, source: StorageSource, page: Page, keep: Callable[[], None] = lambda: None
) -> Judged:
    """Which files of a page are new captures. Reads files, if their names say no time, and writes nothing.

    `keep` is called now and then: reading many files takes a while.
    """
    images = images_in(page, deployment.data_source_regex)
    judged = Judged(
        images=len(images) + len(page.unnameable),
        bytes=sum(found.size for found in images),
        skipped=len(page.found) - len(images),
        broken=[(path, "Its name cannot be stored.") for path in page.unnameable],
    )
    known = {row[0] for row in rows(_KNOWN, [deployment.pk, [found.path for found in images]])}
    for number, found in enumerate(images):
        if found.path in known:
            continue
        if number % 100 == 99:
            keep()
        try:
            judged.new.append(_capture(deployment, source, found))
        except (UnreadableImage, FileGone) as error:
            judged.broken.append((found.path, error.message))
    return judged


def store(deployment: Deployment, source: StorageSource, new: Sequence[NewCapture]) -> int:
    """Write the captures that are not there yet; how many. Safe to run twice."""
    if not new:
        return 0
    return execute(
        _INSERT,
        {
            "project": deployment.project_id,
            "deployment": deployment.pk,
            "source": source.pk,
            "paths": [capture.path for capture in new],
            "taken": [capture.taken_at for capture in new],
            "widths": [capture.width for capture in new],
            "heights": [capture.height for capture in new],
            "sizes": [capture.size for capture in new],
        },
    )


def _capture(deployment: Deployment, source: StorageSource, found: Found) -> NewCapture:
    """What is known of a file. Raises UnreadableImage or FileGone for one that is none."""
    if found.size == 0:
        raise UnreadableImage("The file is empty.")
    if len(found.path) > LONGEST_PATH:
        raise UnreadableImage(f"Its path is longer than {LONGEST_PATH} characters.")
    named = time_in_name(found.path.rpartition("/")[2])
    if named is not None or source.kind != StorageKind.FOLDER:
        return NewCapture(found.path, found.size, in_zone(named, deployment.zone))
    with file_below(allowed_folder(source.folder), found.path).open("rb") as file:
        header = read_header(file)
    return NewCapture(
        found.path, found.size, in_zone(header.taken_at, deployment.zone), header.width, header.height
    )

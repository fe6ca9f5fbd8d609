"""Opens the place that a data source names, checks what somebody typed, and tries it out."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from django.db import DataError, OperationalError, transaction

from ami.base.database import execute, rows
from ami.base.errors import InvalidInput
from ami.base.outgoing import check_url
from ami.base.outgoing.addresses import target_of
from ami.main.models import Deployment, StorageSource
from ami.main.models.storage import StorageKind
from ami.main.storage.buckets import Bucket
from ami.main.storage.folders import Folder
from ami.main.storage.listing import Found, Listing, Page, folder_of, is_image
from ami.main.storage.origins import origin_of

TRIED = 100
"""Files that a try-out looks at."""

_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,253}[A-Za-z0-9]")
_DEFAULT_PORTS = {"http": ":80", "https": ":443"}
_PATTERN_MS = 2_000
"""A pattern may be written so that it takes for ever."""


@dataclass(frozen=True, slots=True)
class TryOut:
    """What a look at a place found."""

    latency: float
    """Seconds until the first files were listed."""
    total_time: float
    checked: int
    first_file: str | None
    prefix_exists: bool


def open_source(source: StorageSource, subdir: str = "", *, page: int | None = None) -> Listing:
    """The files of a data source, below `subdir`. Raises a StorageError for a folder that may not be read."""
    below = folder_of(source.prefix, subdir)
    if source.kind == StorageKind.FOLDER:
        return Folder(source.folder, below, page)
    return Bucket(origin_of(source), below, page)


def images_in(page: Page, pattern: str) -> list[Found]:
    """The images of a page whose paths match the pattern; all of them without one."""
    images = [found for found in page.found if is_image(found.path)]
    if not pattern or not images:
        return images
    matching = _matching([found.path for found in images], pattern)
    return [found for found in images if found.path in matching]


def try_out(source: StorageSource, subdir: str = "", pattern: str = "") -> TryOut:
    """List the first few files. Raises what listing raises; nothing is changed."""
    started = time.monotonic()
    pages: Iterator[Page] = open_source(source, subdir, page=TRIED).pages()
    page = next(pages, Page([], "", False))
    latency = time.monotonic() - started
    images = images_in(page, pattern)
    return TryOut(
        latency,
        time.monotonic() - started,
        len(page.found),
        images[0].path if images else None,
        bool(page.found),
    )


def check_pattern(pattern: str) -> str:
    """The pattern, if it is one. Raises InvalidInput."""
    if pattern:
        _matching([""], pattern)
    return pattern


def check_bucket(name: str) -> str:
    """The name, if a bucket may have it. Raises InvalidInput."""
    if not _BUCKET.fullmatch(name):
        raise InvalidInput("This is not the name of a bucket.")
    return name


def check_endpoint(url: str) -> str:
    """The address of an S3 server in the spelling that is signed. Raises InvalidInput or AddressRefused."""
    if not url:
        return ""
    check_url(url)
    if urlsplit(url).path.strip("/") or urlsplit(url).query or urlsplit(url).fragment:
        raise InvalidInput(
            "The address of an S3 server ends after its host and port; the bucket has its own field."
        )
    target = target_of(url)
    return f"{target.scheme}://{target.netloc.removesuffix(_DEFAULT_PORTS[target.scheme])}"


def data_source_of(deployment: Deployment) -> StorageSource:
    """Where a station delivers. Raises InvalidInput if it delivers nowhere."""
    source = deployment.data_source
    if source is None:
        raise InvalidInput("Deployment must have a data source to sync captures from")
    return source


def _matching(paths: Sequence[str], pattern: str) -> set[str]:
    """Those that match. The database judges them: its patterns are bounded in time, and Python's are not."""
    try:
        with transaction.atomic():
            execute(f"SET LOCAL statement_timeout = {_PATTERN_MS}")
            sql = "SELECT path FROM unnest(%s::text[]) AS path WHERE path ~ %s"
            return {row[0] for row in rows(sql, [list(paths), pattern])}
    except DataError:
        raise InvalidInput("This is not a regular expression that the database knows.") from None
    except OperationalError as error:
        if "statement timeout" not in str(error):
            raise
        raise InvalidInput("This regular expression takes too long; write a simpler one.") from None

"""Lists a bucket page by page, through the guarded way out, each call with a deadline."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import unquote_plus
from xml.etree import ElementTree

from ami.base import clock
from ami.base.outgoing import Answer, Limits, fetch
from ami.main.storage.errors import (
    StorageAway,
    StorageError,
    StorageMisplaced,
    StorageMissing,
    StorageRefused,
)
from ami.main.storage.listing import Found, Page
from ami.main.storage.origins import Origin
from ami.main.storage.signing import query_string, signed_headers

PAGE = 1_000
"""Objects in a page; S3 gives no more."""

LIMITS = Limits(total=30.0, connect=5.0, read=20.0, max_bytes=8_000_000)

_REFUSED = {
    "AccessDenied",
    "InvalidAccessKeyId",
    "SignatureDoesNotMatch",
    "ExpiredToken",
}
_ELSEWHERE = {"PermanentRedirect", "TemporaryRedirect", "AuthorizationHeaderMalformed"}


class Bucket:
    """The objects of a bucket below a prefix."""

    def __init__(self, origin: Origin, prefix: str = "", page: int | None = None) -> None:
        """`prefix`: as it is asked for, usually with a slash at its end; `page`: objects in one."""
        self.origin = origin
        self.prefix = prefix
        self.page = page or PAGE

    def pages(self, after: str = "") -> Iterator[Page]:
        """The objects after this key, in the order of their keys. Every page is one call."""
        while True:
            page = self._page(after)
            yield page
            if not page.more:
                return
            after = page.last

    def _page(self, after: str) -> Page:
        asked = {"list-type": "2", "encoding-type": "url", "max-keys": str(self.page), "prefix": self.prefix}
        if after:
            asked["start-after"] = after
        return _read(self._ask(query_string(asked)), after)

    def _ask(self, query: str) -> ElementTree.Element:
        origin, path = self.origin, self.origin.path()
        keys = origin.keys()
        headers = (
            signed_headers(origin.base, path, query, keys=keys, region=origin.place, now=clock.now())
            if keys
            else {}
        )
        answer = fetch(
            f"{origin.base}{path}?{query}", headers={"Accept": "application/xml", **headers}, limits=LIMITS
        )
        if answer.status != 200:
            raise _failure(origin.bucket, answer)
        return _parse(answer)


def _read(root: ElementTree.Element, after: str) -> Page:
    found = []
    for entry in root.iterfind("{*}Contents"):
        found.append(
            Found(unquote_plus(entry.findtext("{*}Key", "")), int(entry.findtext("{*}Size", "0") or 0))
        )
    last = found[-1].path if found else after
    more = root.findtext("{*}IsTruncated", "") == "true" and last > after
    storable = [each for each in found if _is_storable(each.path)]
    odd = [each.path for each in found if not _is_storable(each.path)]
    return Page(storable, last, more, [name.replace("\x00", "?") for name in odd])


def _is_storable(path: str) -> bool:
    """Postgres stores no NUL; what was not UTF-8 came as a replacement character."""
    return "\x00" not in path and "\ufffd" not in path


def _parse(answer: Answer) -> ElementTree.Element:
    if b"<!DOCTYPE" in answer.body:
        raise StorageError(f"The answer of {answer.host} is not that of an S3 server.")
    try:
        root = ElementTree.fromstring(answer.body)  # noqa: S314 - no document type, and bounded in size
    except (ElementTree.ParseError, ValueError):
        raise StorageError(f"The answer of {answer.host} is not that of an S3 server.") from None
    if not root.tag.endswith("ListBucketResult"):
        raise StorageError(f"The answer of {answer.host} is not that of an S3 server.")
    return root


def _failure(bucket: str, answer: Answer) -> StorageError:
    """The error in the server's answer, in our words: its own may hold anything."""
    code = _code_in(answer.body)
    if code == "NoSuchBucket" or (answer.status == 404 and not code):
        return StorageMissing(f"There is no bucket {bucket!r} at {answer.host}.")
    if code in _ELSEWHERE or 300 <= answer.status < 400:
        return StorageMisplaced(f"The bucket {bucket!r} is in another region, or at another endpoint.")
    if code == "RequestTimeTooSkewed":
        return StorageError(f"The clock of this server and that of {answer.host} differ by minutes.")
    if code in _REFUSED or answer.status in (401, 403):
        return StorageRefused(f"{answer.host} does not accept the keys for the bucket {bucket!r}.")
    if answer.status >= 500 or answer.status in (408, 429):
        return StorageAway(f"{answer.host} answered with the status {answer.status}.")
    return StorageError(f"{answer.host} refused to list {bucket!r} (status {answer.status}).")


def _code_in(body: bytes) -> str:
    if b"<!DOCTYPE" in body:
        return ""
    try:
        return ElementTree.fromstring(body).findtext("{*}Code", "").strip()  # noqa: S314 - as above
    except (ElementTree.ParseError, ValueError):
        return ""

"""Addresses of captures: absolute, and fetchable without a token.

A capture on somebody's web server is named by that server's address. A capture in a bucket gets a link that
is signed with the keys of its data source. A capture in our own media storage, or in a folder of this server,
gets a link that we sign. Signed links outlive every lease, so that a worker needs nothing but the link.
"""

from __future__ import annotations

import time
from base64 import urlsafe_b64encode
from functools import lru_cache
from hashlib import blake2b
from hmac import compare_digest
from pathlib import Path
from urllib.parse import quote, urlsplit

import structlog
from django.conf import settings
from django.http import HttpRequest

from ami.base import clock
from ami.base.errors import AmiError
from ami.main.storage.errors import StorageError
from ami.main.storage.origins import Origin

logger = structlog.get_logger(__name__)

_LOCAL = "{base}/api/v2/captures/{key}/file/?expires={expires}&signature={signature}"
_KEEP = "/~!$&'()*+,;=:@"
"""Characters of a path that mean themselves in a URL."""


class BadLink(AmiError):
    """This link is not valid; ask for a new one."""

    code = "bad_link"
    http_status = 403


class FileGone(AmiError):
    """The file of this capture is not here."""

    code = "file_gone"
    http_status = 404


def capture_url(
    path: str, public_base_url: str, capture_id: int, base_url: str, origin: Origin | None = None
) -> str | None:
    """Where to fetch a capture, or None if it has no file.

    `base_url`: scheme and host under which workers reach us; `origin`: its data source, if it has one. Plain
    values in, a string out, no network: called for hundreds of captures while a worker waits.
    """
    if not path:
        return None
    public = public_base_url or (origin.public_base_url if origin else "")
    if public:
        folder = _folder(public)
        return f"{folder}{quote(path.lstrip('/'), safe=_KEEP)}" if folder else None
    if origin is not None and not origin.is_folder:
        return _bucket_link(origin, path)
    expires = int(time.time()) + settings.MEDIA_LINK_SECONDS
    signature = _sign(str(capture_id), str(expires))
    return _LOCAL.format(base=base_url, key=capture_id, expires=expires, signature=signature)


def base_url_of(request: HttpRequest) -> str:
    """Scheme and host under which workers reach us: as configured, else as this request did."""
    configured: str = settings.EXTERNAL_BASE_URL
    return configured.rstrip("/") or f"{request.scheme}://{request.get_host()}"


def check_link(capture_id: int, expires: str, signature: str) -> None:
    """Raise BadLink unless we signed this link and its time is not over."""
    check_signature(str(capture_id), expires, signature, "capture")


def signed_query(subject: str) -> str:
    """The query of a link to `subject` (such as `export:7`) that is good, for a while, for who holds it."""
    expires = str(int(time.time()) + settings.MEDIA_LINK_SECONDS)
    return f"expires={expires}&signature={_sign(subject, expires)}"


def check_signature(subject: str, expires: str, signature: str, word: str) -> None:
    """Raise BadLink unless we signed a link to `subject`, and its time is not over. `word`: its kind."""
    if not compare_digest(_sign(subject, expires).encode(), signature.encode("utf-8", "replace")):
        raise BadLink(f"This link is not valid; ask for the {word} again to get a new one.")
    if int(expires) < time.time():
        raise BadLink(f"This link has expired; ask for the {word} again to get a new one.")


def media_file(path: str) -> Path:
    """The file of a local capture. Raises FileGone for whatever is not a file inside MEDIA_ROOT."""
    return file_below(Path(settings.MEDIA_ROOT).resolve(), path)


def file_below(root: Path, path: str) -> Path:
    """A file inside a folder, whose own path is resolved. Raises FileGone for what is none, or a way out."""
    try:
        found = (root / path).resolve(strict=True)
    except (OSError, ValueError, RuntimeError):  # missing; a NUL in the name; a loop of links
        raise FileGone from None
    if not found.is_relative_to(root) or not found.is_file():
        raise FileGone
    return found


def _bucket_link(origin: Origin, path: str) -> str | None:
    try:
        return origin.link(path, now=clock.now(), seconds=settings.MEDIA_LINK_SECONDS)
    except StorageError as error:
        logger.error("media.no_link", bucket=origin.bucket, error=error.message)  # noqa: TRY400 - no traceback
        return None


@lru_cache(maxsize=1024)
def _folder(address: str) -> str | None:
    """The address of a folder with its slash; None if it names no host, or is no address at all."""
    try:
        host = urlsplit(address).netloc
    except ValueError:  # such as "http://[bad"
        return None
    return f"{address.rstrip('/')}/" if host else None


def _sign(subject: str, expires: str) -> str:
    """Keyed BLAKE2b and not HMAC: for small inputs it keeps the GIL, which threads would fight for."""
    message = f"{subject}.{expires}".encode()
    digest = blake2b(message, key=_key(settings.SECRET_KEY), digest_size=18).digest()
    return urlsafe_b64encode(digest).decode()


@lru_cache(maxsize=4)
def _key(secret: str) -> bytes:
    return blake2b(secret.encode(), person=b"ami.media", digest_size=32).digest()

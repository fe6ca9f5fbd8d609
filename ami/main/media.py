"""Addresses of captures: absolute, and fetchable without a token.

A capture on somebody's web server is named by that server's address. A capture in our own media storage gets
a signed link that outlives every lease, so that a worker needs nothing but the link.
"""

from __future__ import annotations

import time
from base64 import urlsafe_b64encode
from functools import lru_cache
from hashlib import blake2b
from hmac import compare_digest
from pathlib import Path
from urllib.parse import quote, urlsplit

from django.conf import settings
from django.http import HttpRequest

from ami.base.errors import AmiError

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


def capture_url(path: str, public_base_url: str, capture_id: int, base_url: str) -> str | None:
    """Where to fetch a capture, or None if it has no file.

    `base_url`: scheme and host under which workers reach us. Plain values in, a string out: called for
    hundreds of captures while a worker waits.
    """
    if not path:
        return None
    if public_base_url:
        folder = _folder(public_base_url)
        return f"{folder}{quote(path.lstrip('/'), safe=_KEEP)}" if folder else None
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
    root = Path(settings.MEDIA_ROOT).resolve()
    try:
        found = (root / path).resolve(strict=True)
    except (OSError, ValueError, RuntimeError):  # missing; a NUL in the name; a loop of links
        raise FileGone from None
    if not found.is_relative_to(root) or not found.is_file():
        raise FileGone
    return found


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

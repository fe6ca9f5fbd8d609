"""Signatures of S3 requests (AWS Signature Version 4), computed here, without a call.

Why not a client library: docs/adr/0013. The tests compare every byte with what botocore computes.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from hashlib import sha256
from urllib.parse import quote

LONGEST_SECONDS = 7 * 24 * 3600
"""S3 takes no link that is good for longer."""

_ALGORITHM = "AWS4-HMAC-SHA256"
_NOTHING = sha256(b"").hexdigest()


@dataclass(frozen=True, slots=True)
class Keys:
    """What proves who asks."""

    access: str = field(repr=False)
    secret: str = field(repr=False)


def quoted(text: str, keep: str = "-_.~") -> str:
    """The text as the signature wants it in a URL: everything escaped but letters, digits and `keep`."""
    return quote(text, safe=keep)


def quoted_path(path: str) -> str:
    """A path, its slashes kept."""
    return quoted(path, "-_.~/")


def query_string(parameters: Mapping[str, str]) -> str:
    """The parameters in the one order and spelling that is signed."""
    return "&".join(sorted(f"{quoted(name)}={quoted(value)}" for name, value in parameters.items()))


def signed_link(base: str, path: str, *, keys: Keys, region: str, now: datetime, seconds: int) -> str:
    """A link to an object that is good for `seconds`. `base`: scheme and host; `path`: quoted already."""
    scope = f"{now:%Y%m%d}/{region}/s3/aws4_request"
    query = query_string(
        {
            "X-Amz-Algorithm": _ALGORITHM,
            "X-Amz-Credential": f"{keys.access}/{scope}",
            "X-Amz-Date": f"{now:%Y%m%dT%H%M%SZ}",
            "X-Amz-Expires": str(min(seconds, LONGEST_SECONDS)),
            "X-Amz-SignedHeaders": "host",
        }
    )
    host = base.partition("://")[2]
    canonical = f"GET\n{path}\n{query}\nhost:{host}\n\nhost\nUNSIGNED-PAYLOAD"
    return f"{base}{path}?{query}&X-Amz-Signature={_signature(canonical, keys, region, now)}"


def signed_headers(
    base: str, path: str, query: str, *, keys: Keys, region: str, now: datetime
) -> dict[str, str]:
    """The headers that a GET needs. `query` comes from `query_string`."""
    headers = {
        "host": base.partition("://")[2],
        "x-amz-content-sha256": _NOTHING,
        "x-amz-date": f"{now:%Y%m%dT%H%M%SZ}",
    }
    names = ";".join(headers)
    lines = "".join(f"{name}:{value}\n" for name, value in headers.items())
    canonical = f"GET\n{path}\n{query}\n{lines}\n{names}\n{_NOTHING}"
    scope = f"{now:%Y%m%d}/{region}/s3/aws4_request"
    signature = _signature(canonical, keys, region, now)
    return {
        "x-amz-content-sha256": headers["x-amz-content-sha256"],
        "x-amz-date": headers["x-amz-date"],
        "Authorization": f"{_ALGORITHM} Credential={keys.access}/{scope}, "
        f"SignedHeaders={names}, Signature={signature}",
    }


def _signature(canonical: str, keys: Keys, region: str, now: datetime) -> str:
    day = f"{now:%Y%m%d}"
    to_sign = (
        f"{_ALGORITHM}\n{now:%Y%m%dT%H%M%SZ}\n{day}/{region}/s3/aws4_request\n"
        f"{sha256(canonical.encode()).hexdigest()}"
    )
    return hmac.new(_day_key(keys.secret, day, region), to_sign.encode(), sha256).hexdigest()


@lru_cache(maxsize=256)
def _day_key(secret: str, day: str, region: str) -> bytes:
    """The key of one day and region; links are made by the hundred."""
    key = f"AWS4{secret}".encode()
    for part in (day, region, "s3", "aws4_request"):
        key = hmac.new(key, part.encode(), sha256).digest()
    return key

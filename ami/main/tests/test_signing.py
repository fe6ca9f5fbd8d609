"""Our signatures are, byte by byte, those that Amazon's own library computes."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import time_machine
from botocore.auth import S3SigV4Auth, S3SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from hypothesis import given
from hypothesis import strategies as st

from ami.main.storage.signing import Keys, query_string, quoted_path, signed_headers, signed_link

MOMENT = datetime(2026, 6, 1, 22, 0, 5, tzinfo=UTC)
KEYS = Keys("AKIAEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY")

paths = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), min_size=1, max_size=40)
hosts = st.sampled_from(
    ["https://s3.example.org", "http://10.0.0.1:9000", "https://b.s3.eu-west-3.amazonaws.com"]
)


def theirs() -> Credentials:
    """The same keys for the library."""
    return Credentials(KEYS.access, KEYS.secret)


@given(
    base=hosts, key=paths, seconds=st.integers(1, 604_800), region=st.sampled_from(["us-east-1", "eu-west-3"])
)
def test_links(base: str, key: str, seconds: int, region: str) -> None:
    path = f"/traps/{quoted_path(key)}"
    with time_machine.travel(MOMENT, tick=False):
        request: Any = AWSRequest("GET", f"{base}{path}")
        S3SigV4QueryAuth(theirs(), "s3", region, expires=seconds).add_auth(request)
    ours = signed_link(base, path, keys=KEYS, region=region, now=MOMENT, seconds=seconds)
    assert dict(parse_qsl(urlsplit(ours).query)) == dict(parse_qsl(urlsplit(request.url).query))
    assert urlsplit(ours)[:3] == urlsplit(request.url)[:3]


@given(base=hosts, prefix=st.just("") | paths, after=paths)
def test_headers(base: str, prefix: str, after: str) -> None:
    query = query_string({"list-type": "2", "prefix": prefix, "start-after": after, "encoding-type": "url"})
    with time_machine.travel(MOMENT, tick=False):
        request: Any = AWSRequest("GET", f"{base}/traps?{query}")
        S3SigV4Auth(theirs(), "s3", "us-east-1").add_auth(request)
    ours = signed_headers(base, "/traps", query, keys=KEYS, region="us-east-1", now=MOMENT)
    assert ours["Authorization"] == request.headers["Authorization"]
    assert ours["x-amz-date"] == request.headers["X-Amz-Date"]


def test_a_link_is_good_for_a_week_at_most() -> None:
    link = signed_link("https://h", "/b/k", keys=KEYS, region="us-east-1", now=MOMENT, seconds=10**9)
    assert "X-Amz-Expires=604800&" in link


def test_keys_do_not_show_themselves() -> None:
    assert KEYS.secret not in repr(KEYS)
    assert KEYS.access not in repr(KEYS)

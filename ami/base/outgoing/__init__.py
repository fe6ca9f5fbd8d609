"""The one way in which the server fetches a URL that somebody typed (docs/adr/0008).

    answer = fetch("https://service.example.org/readyz", limits=Limits(total=8, max_bytes=64_000))
    answer.json()

Only public addresses are called, and those inside OUTGOING_ALLOWED_NETWORKS. The name is looked up once, and
the connection goes to the address that was checked. Redirects are answers like any other, proxies of the
environment play no part, and both time and size have an end.
"""

from __future__ import annotations

from ami.base.outgoing.addresses import check_url
from ami.base.outgoing.errors import (
    AddressRefused,
    AnswerNotUnderstood,
    AnswerTooLarge,
    BadStatus,
    NotConnected,
    OutgoingError,
    ServiceTimedOut,
    ServiceUnreachable,
)
from ami.base.outgoing.fetching import Answer, Limits, fetch

__all__ = [
    "AddressRefused",
    "Answer",
    "AnswerNotUnderstood",
    "AnswerTooLarge",
    "BadStatus",
    "Limits",
    "NotConnected",
    "OutgoingError",
    "ServiceTimedOut",
    "ServiceUnreachable",
    "check_url",
    "fetch",
]

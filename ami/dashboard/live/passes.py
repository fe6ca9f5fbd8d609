"""Passes: what an open page shows to be let in again, without its session being looked up each time.

A pass names a person and what the page shows. It lets nobody see more than the page did: what the person may
see is looked up again every few seconds. It is good for ten minutes; then the page loads anew.
"""

from __future__ import annotations

from dataclasses import dataclass

from django.core import signing

GOOD_FOR_SECONDS = 600
PREFIX = "/live/"
_SALT = "ami.dashboard.live"


@dataclass(frozen=True)
class Pass:
    """`user`: the id of the person, 0 without a log-in. `what`: a job's id, or the query of a list."""

    kind: str
    user: int
    what: str = ""


def issue(ticket: Pass) -> str:
    """The address at which the pass is shown."""
    return f"{PREFIX}{signing.dumps([ticket.kind, ticket.user, ticket.what], salt=_SALT)}/"


def read(path: str) -> Pass | None:
    """The pass in an address, or None if it is not ours or over."""
    try:
        kind, user, what = signing.loads(
            path.removeprefix(PREFIX).removesuffix("/"), salt=_SALT, max_age=GOOD_FOR_SECONDS
        )
    except (signing.BadSignature, ValueError, TypeError):
        return None
    return Pass(kind, user, what)

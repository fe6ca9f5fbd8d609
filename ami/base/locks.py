"""A lock that one process at a time holds, kept by Postgres and gone with the session that dies."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import blake2b

from ami.base.database import rows


@contextmanager
def only_one(name: str) -> Iterator[bool]:
    """Hold the named lock while the block runs; yields False at once when somebody else holds it."""
    key = int.from_bytes(blake2b(name.encode(), digest_size=8).digest(), signed=True)
    held = bool(rows("SELECT pg_try_advisory_lock(%s)", [key])[0][0])
    try:
        yield held
    finally:
        if held:
            rows("SELECT pg_advisory_unlock(%s)", [key])

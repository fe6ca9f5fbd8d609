"""Signs and verifies the lease tokens that workers see as `reply_subject`."""

from __future__ import annotations

from functools import lru_cache

from django.conf import settings

from ami.taskqueue import LeaseSigner


def signer() -> LeaseSigner:
    """The signer for the keys in force (`LEASE_KEYS`, else one derived from the secret key)."""
    return _signer(tuple(settings.LEASE_KEYS) or (f"lease:{settings.SECRET_KEY}",))


@lru_cache(maxsize=8)
def _signer(keys: tuple[str, ...]) -> LeaseSigner:
    return LeaseSigner(keys)

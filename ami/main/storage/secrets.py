"""Keys of buckets at rest: sealed with the server's secret, so that a copy of the database opens no bucket.

After a change of DJANGO_SECRET_KEY they cannot be opened any more, and somebody has to type them again.
"""

from __future__ import annotations

from base64 import urlsafe_b64encode
from functools import lru_cache
from hashlib import blake2b

from cryptography.fernet import Fernet, InvalidToken
from django.conf import settings

from ami.main.storage.errors import StorageRefused


def seal(text: str) -> str:
    """What may be stored; empty for an empty text."""
    return _box(settings.SECRET_KEY).encrypt(text.encode()).decode() if text else ""


def unseal(sealed: str) -> str:
    """What was sealed. Raises StorageRefused if that cannot be opened."""
    return _unseal(sealed, settings.SECRET_KEY) if sealed else ""


@lru_cache(maxsize=1024)
def _unseal(sealed: str, secret: str) -> str:
    try:
        return _box(secret).decrypt(sealed.encode()).decode()
    except InvalidToken:
        raise StorageRefused(
            "The keys of this storage were stored under another DJANGO_SECRET_KEY; enter them again."
        ) from None


@lru_cache(maxsize=4)
def _box(secret: str) -> Fernet:
    key = blake2b(secret.encode(), person=b"ami.storage", digest_size=32).digest()
    return Fernet(urlsafe_b64encode(key))

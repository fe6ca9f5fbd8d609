"""Secrets of webhooks, and signatures with them, as the Standard Webhooks specification has them.

The receiver computes HMAC-SHA256 over `<id>.<timestamp>.<body>` with the secret's bytes.
"""

from __future__ import annotations

import hmac
import secrets
from base64 import b64decode, b64encode
from hashlib import sha256

PREFIX = "whsec_"
_BYTES = 32


def new_secret() -> str:
    """A secret for one webhook."""
    return PREFIX + b64encode(secrets.token_bytes(_BYTES)).decode()


def headers(secret: str, message_id: str, timestamp: int, body: bytes) -> dict[str, str]:
    """What goes along with a body. `message_id` is the same in every try, to know repetitions by."""
    signed = b".".join((message_id.encode(), str(timestamp).encode(), body))
    signature = hmac.new(b64decode(secret.removeprefix(PREFIX)), signed, sha256).digest()
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": f"v1,{b64encode(signature).decode()}",
    }

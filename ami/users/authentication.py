"""Who is calling: `Authorization: Token <token>`, checked against hashed tokens.

On the hot path of every worker call, so a token that was good is believed for a few seconds without asking
the database again; a revoked token or a deactivated account stops working within `TOKEN_CACHE_SECONDS`.
"""

from __future__ import annotations

import copy
import time
from typing import Any

from django.core.exceptions import ObjectDoesNotExist
from knox.crypto import hash_token
from knox.models import get_token_model
from rest_framework.authentication import BaseAuthentication, get_authorization_header
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request

from ami.base import clock
from ami.users.models import User

TOKEN_CACHE_SECONDS = 3.0
_MOST_REMEMBERED = 4096

_remembered: dict[str, tuple[float, Any]] = {}
"""Token digest → (believed until, token row with its user). Each process has its own."""


class TokenAuthentication(BaseAuthentication):
    """Token authentication in the words of the wire contract; at most one query, never a write."""

    keyword = "Token"

    def authenticate(self, request: Request) -> tuple[User, Any] | None:
        """The account and the token row; None when the request names no token at all."""
        parts = get_authorization_header(request).split()
        if not parts or parts[0].lower() != self.keyword.lower().encode():
            return None
        if len(parts) == 1:
            raise AuthenticationFailed("Invalid token header. No credentials provided.")
        if len(parts) > 2:
            raise AuthenticationFailed("Invalid token header. Token string should not contain spaces.")
        token = find_token(parts[1])
        # A copy: what a view does to its user must not be seen by the next request.
        return copy.copy(token.user), token

    def authenticate_header(self, request: Request) -> str:
        """What a 401 asks for."""
        return self.keyword


def find_token(raw: bytes) -> Any:
    """The row of a valid token of an active account. Raises AuthenticationFailed."""
    digest = hash_token(raw.decode("latin-1"))
    believed_until, token = _remembered.get(digest, (0.0, None))
    if token is None or time.monotonic() >= believed_until:
        token = _load(digest)
        if len(_remembered) >= _MOST_REMEMBERED:
            _remembered.clear()
        _remembered[digest] = (time.monotonic() + TOKEN_CACHE_SECONDS, token)
    if token.expiry is not None and token.expiry <= clock.now():
        raise AuthenticationFailed("Invalid token.")
    return token


def _load(digest: str) -> Any:
    _remembered.pop(digest, None)
    try:
        token = get_token_model().objects.select_related("user").get(digest=digest)
    except ObjectDoesNotExist:
        raise AuthenticationFailed("Invalid token.") from None
    if not token.user.is_active:
        raise AuthenticationFailed("User inactive or deleted.")
    return token


def forget(digest: str) -> None:
    """Stop believing a token in this process at once; others stop within `TOKEN_CACHE_SECONDS`."""
    _remembered.pop(digest, None)

"""Who is calling: a person or an old worker with a user's token, or a machine with a worker key.

Both come as `Authorization: Token …`, so that existing workers can be given a key without being changed.
"""

from __future__ import annotations

from typing import Any

from rest_framework.authentication import get_authorization_header
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request

from ami.ml import keys
from ami.users.authentication import TokenAuthentication


class CallerAuthentication(TokenAuthentication):
    """Tokens of users, and worker keys."""

    def authenticate(self, request: Request) -> tuple[Any, Any] | None:
        """The account or machine, and what it showed; None when the request names no token at all."""
        parts = get_authorization_header(request).split()
        is_key = len(parts) == 2 and parts[0].lower() == b"token" and parts[1].startswith(keys.MARK.encode())
        if not is_key:
            return super().authenticate(request)
        machine = keys.recognise(parts[1].decode("latin-1"))
        if machine is None:
            raise AuthenticationFailed("Invalid token.")
        return machine, None

"""Slows down guessing of passwords."""

from __future__ import annotations

import hashlib
import math
from typing import Any

from django.http import HttpRequest
from rest_framework.request import Request
from rest_framework.throttling import SimpleRateThrottle
from rest_framework.views import APIView


class _LoginThrottle(SimpleRateThrottle):
    def __init__(self) -> None:
        self.num_requests, self.duration = self.parse_rate(self.rate)


class LoginPerAddress(_LoginThrottle):
    """Tries from one network address, whatever the account."""

    rate = "60/min"

    def get_cache_key(self, request: Request, view: APIView) -> str:
        """One count per address."""
        return f"throttle_login_{self.get_ident(request)}"


class LoginPerAccount(_LoginThrottle):
    """Tries at one account from one network address."""

    rate = "10/min"

    def get_cache_key(self, request: Request, view: APIView) -> str:
        """One count per address and account; the account's name is hashed, it is a stranger's text."""
        data: Any = request.data
        email = str(data.get("email", "")) if hasattr(data, "get") else ""
        account = hashlib.sha256(email.strip().lower().encode("utf-8", "replace")).hexdigest()[:32]
        return f"throttle_login_{self.get_ident(request)}_{account}"


class _FormAttempt(Request):
    """A form's attempt to log in, as the throttles read one."""

    def __init__(self, request: HttpRequest, email: str) -> None:
        super().__init__(request)
        self._email = email

    @property
    def data(self) -> dict[str, str]:
        return {"email": self._email}


def seconds_to_wait(request: HttpRequest, email: str) -> int | None:
    """Count an attempt to log in with a form, together with those over the API; None if it may be made."""
    attempt, waits = _FormAttempt(request, email), []
    for throttle in (LoginPerAddress(), LoginPerAccount()):
        if not throttle.allow_request(attempt, APIView()):
            waits.append(math.ceil(throttle.wait() or 1))
    return max(waits, default=None)

"""People for tests, and clients that call the API with their real tokens."""

from __future__ import annotations

from itertools import count
from typing import Any

from knox.models import get_token_model
from rest_framework.test import APIClient

from ami.users.models import User

_numbers = count(1)
PASSWORD = "correct horse battery staple"


def make_user(email: str = "", **fields: Any) -> User:
    """An account with a password."""
    return User.objects.create_user(email or f"person{next(_numbers)}@example.org", PASSWORD, **fields)


def token_of(user: User) -> str:
    """A new token of an account."""
    _, token = get_token_model().objects.create(user=user)
    return str(token)


def client_of(user: User | None) -> APIClient:
    """A client that calls as this person, or as nobody."""
    client = APIClient()
    if user is not None:
        client.credentials(HTTP_AUTHORIZATION=f"Token {token_of(user)}")
    return client

"""A small world in which secrets are shown, and the list of them."""

from __future__ import annotations

import io
import secrets
from dataclasses import dataclass, field

import pytest
from pytest_django.fixtures import Settings
from rest_framework.test import APIClient

from ami.jobs.tests.world import OnDemandDispatcher
from ami.main.media import capture_url
from ami.tests.tenants import Tenants

HOST = "https://ami.example.org"
CLOSED = "127.0.0.1:9"
"""Where nobody listens."""


@dataclass
class Scene:
    """The world, and what was shown in it."""

    tenants: Tenants
    background: OnDemandDispatcher
    stderr: io.StringIO
    settings: Settings
    monkeypatch: pytest.MonkeyPatch
    secrets: list[str] = field(default_factory=list)

    def secret(self, value: str = "", begin: str = "") -> str:
        """Remember a secret, or make one."""
        made = value or f"{begin}{secrets.token_hex(32)}"
        self.secrets.append(made)
        return made

    def link(self, host: str = "") -> str:
        """A signed link to the capture."""
        link = capture_url("night.jpg", "", self.tenants.capture.pk, host)
        assert link
        self.secret(link.rpartition("signature=")[2])
        return link


def caller(authorization: str = "") -> APIClient:
    """A client with an Authorization header of one's own, which gets a 500 instead of an exception."""
    client = APIClient(raise_request_exception=False)
    if authorization:
        client.credentials(HTTP_AUTHORIZATION=authorization)
    return client

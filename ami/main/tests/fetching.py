"""Fetches a link the way a browser or a worker does: to the end, which closes the file behind it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.test import Client


@dataclass
class Fetched:
    """An answer that has been read."""

    status: int
    headers: dict[str, str]
    body: bytes
    json: Any = None


def fetch(link: str, method: str = "get") -> Fetched:
    """Follow a link without any token."""
    response: Any = getattr(Client(), method)(link)
    body = b"".join(response.streaming_content) if response.streaming else response.content
    is_json = response.headers.get("Content-Type") == "application/json"
    return Fetched(response.status_code, dict(response.headers), body, response.json() if is_json else None)

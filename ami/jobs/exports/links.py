"""Addresses of captures in a file that is read long after it was written, by anybody."""

from __future__ import annotations

from ami.jobs.exports.rows import Capture
from ami.main.media import capture_url


def capture_address(capture: Capture, base_url: str) -> str:
    """Where to find a capture; empty if it has no file.

    A capture in our own storage is named by its page in the API: a signed link would be good for everybody
    who gets the file, and dead after a day. Whoever may see the capture finds a fresh one on its page.
    """
    if not capture.path:
        return ""
    if is_public(capture):
        return capture_url(capture.path, capture.public_base_url, capture.id, base_url) or ""
    return f"{base_url}/api/v2/captures/{capture.id}/"


def is_public(capture: Capture) -> bool:
    """Whether its file is on somebody's web server."""
    return bool(capture.public_base_url)

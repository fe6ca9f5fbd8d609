"""What never reaches a log."""

from __future__ import annotations

import pytest

from ami.base.logs import hide_secrets


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (
            "GET /api/v2/captures/7/file/?expires=1&signature=c2VjcmV0",
            "GET /api/v2/captures/7/file/?expires=1&signature=***",
        ),
        ("GET /file/?signature=c2VjcmV0&expires=1", "GET /file/?signature=***&expires=1"),
        ("redis://:hunter2@host/0", "redis://***:***@host/0"),
        ("plain text about a signature", "plain text about a signature"),
    ],
)
def test_links_and_passwords_are_masked(value: str, shown: str) -> None:
    assert hide_secrets(None, "info", {"request": value}) == {"request": shown}

"""What never reaches a log."""

from __future__ import annotations

import logging.config
import sys

import pytest

from ami.base.logs import configure_logging, hide_secrets


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


@pytest.mark.parametrize("fmt", ["json", "console"])
def test_an_error_is_shown_without_the_values_of_variables(fmt: str) -> None:
    configuration = configure_logging(fmt, "INFO")
    formatter = logging.config.DictConfigurator(configuration).configure_formatter(
        configuration["formatters"]["structured"]
    )

    def log_in(password: str) -> None:
        raise ValueError("wrong")

    try:
        log_in("hunter" + str(2))
    except ValueError:
        record = logging.LogRecord("ami", logging.ERROR, __file__, 1, "it broke", (), sys.exc_info())
    shown = formatter.format(record)
    assert "ValueError: wrong" in shown
    assert "log_in" in shown
    assert "hunter2" not in shown

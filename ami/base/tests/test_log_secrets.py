"""What never reaches a log."""

from __future__ import annotations

import logging
import logging.config
import sys

import pytest

from ami.base.logs import configure_logging, hide_secrets, mask, mask_record


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (
            "GET /api/v2/captures/7/file/?expires=1&signature=c2VjcmV0",
            "GET /api/v2/captures/7/file/?expires=1&signature=***",
        ),
        ("GET /file/?signature=c2VjcmV0&expires=1", "GET /file/?signature=***&expires=1"),
        ("redis://:hunter2@host/0", "redis://***:***@host/0"),
        ("redis://:hun/ter2@host/0", "redis://***:***@host/0"),
        (
            "/next?to=%2Ffile%2F%3Fexpires%3D1%26Signature%3Dc2VjcmV0",
            "/next?to=%2Ffile%2F%3Fexpires%3D1%26Signature%3D***",
        ),
        (
            "https://bucket/a.jpg?X-Amz-Credential=me&X-Amz-Signature=0a",
            "https://bucket/a.jpg?X-Amz-Credential=***&X-Amz-Signature=***",
        ),
        ("https://gpu/moths?api_key=hunter2", "https://gpu/moths?api_key=***"),
        ("host=db password=hunter2 user=ami", "host=db password=*** user=ami"),
        ("'Authorization': 'Token 0123456789abcdef01234567'", "'Authorization': 'Token ***'"),
        ("key amiw_12345678_0123abcd", "key amiw_12345678_***"),
    ],
)
def test_what_looks_like_a_secret_is_masked(value: str, shown: str) -> None:
    assert mask(value) == shown


@pytest.mark.parametrize(
    "value",
    [
        "plain text about a signature, a token and a password",
        "GET /api/v2/jobs/?job_type_key=ml&pipeline__slug=moths",
        "http://localhost:8000/api/v2/ of bob@example.org",
        '{"url": "http://localhost:8000", "mail": "bob@example.org"}',
    ],
)
def test_everything_else_stays(value: str) -> None:
    assert mask(value) == value


def test_values_under_secret_names_are_hidden_at_any_depth() -> None:
    event = {"auth_token": "a", "task": {"kwargs": {"password": "b", "job": 1}}, "token": ""}
    hidden = {"auth_token": "***", "task": {"kwargs": {"password": "***", "job": 1}}, "token": ""}
    assert hide_secrets(None, "info", event) == hidden


def test_a_record_of_others_is_masked_with_its_traceback() -> None:
    try:
        raise ValueError("redis://:hunter2@host")
    except ValueError:
        record = logging.LogRecord("other", 40, "", 1, "broke over %s", ("/?signature=c2Vj",), sys.exc_info())
    assert mask_record(record)
    written = logging.Formatter().format(record)
    assert written.startswith("broke over /?signature=***\nTraceback")
    assert written.endswith("ValueError: redis://***:***@host")


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

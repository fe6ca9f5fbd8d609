"""Servers that the environment names are used if they answer; if not, a sentence says which and why."""

from __future__ import annotations

import os

import pytest

from ami.demo.errors import WrongUse
from ami.demo.given import check_given, given_servers


@pytest.mark.integration
def test_servers_that_answer_are_taken() -> None:
    check_given(os.environ)
    assert given_servers(os.environ) == ["DATABASE_URL", "REDIS_URL", "CELERY_BROKER_URL", "NATS_URL"]


def test_an_empty_variable_names_no_server() -> None:
    assert given_servers({"DATABASE_URL": "", "NATS_URL": "nats://h"}) == ["NATS_URL"]
    check_given({"DATABASE_URL": ""})


@pytest.mark.parametrize(
    ("name", "url"),
    [
        ("DATABASE_URL", "postgresql://ami:geheim@127.0.0.1:1/ami"),
        ("DATABASE_URL", "postgresql://127.0.0.1:1/ami?user=ami&password=geheim"),
        ("DATABASE_URL", "postgresql://ami:geheim@[::1/ami"),
        ("DATABASE_URL", "mysql://ami:geheim@127.0.0.1:1/ami"),
        ("REDIS_URL", "redis://:geheim@127.0.0.1:1/0"),
        ("REDIS_URL", "valkey"),
        ("CELERY_BROKER_URL", "redis://:geheim@127.0.0.1:1/1"),
        ("NATS_URL", "nats://ami:geheim@127.0.0.1:1"),
    ],
)
def test_a_server_that_does_not_answer_is_one_sentence_without_its_password(
    name: str, url: str, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(
        WrongUse, match=rf"^{name} names a server that does not answer \(.+\); start it, or"
    ) as end:
        check_given({name: url})
    assert end.value.exit_code == 2
    assert "geheim" not in str(end.value)
    assert "\n" not in str(end.value)
    assert capfd.readouterr() == ("", "")

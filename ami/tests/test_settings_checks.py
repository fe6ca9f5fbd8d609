"""Settings that make no sense are refused at start."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace

import pytest
from pytest_django.fixtures import Settings

from config import declare
from config.checks import check_declared, check_deployment, check_times
from config.declare import DECLARED, networks


def ids(found: list[object]) -> list[str]:
    return [message.id for message in found]  # type: ignore[attr-defined]


def test_the_settings_of_the_tests_make_sense() -> None:
    assert [*check_declared(), *check_times(), *check_deployment()] == []


def test_a_setting_with_a_problem_is_an_error_that_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    broken = replace(DECLARED["NATS_MAX_DELIVER"], problem="NATS_MAX_DELIVER is 0; it must be at least 1.")
    monkeypatch.setitem(DECLARED, "NATS_MAX_DELIVER", broken)
    error = check_declared()[0]
    assert (error.id, error.msg) == ("ami.E001", broken.problem)
    assert "NATS_MAX_DELIVER" in str(error.hint)


def test_a_secret_with_a_problem_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    broken = replace(
        DECLARED["LEASE_KEYS"], problem="LEASE_KEYS is 'hunter2', which is not of the type list."
    )
    monkeypatch.setitem(DECLARED, "LEASE_KEYS", broken)
    assert "hunter2" not in str(check_declared()[0])


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({"NATS_TASK_TTR": 1.0, "NATS_OPERATION_TIMEOUT": 1.0}, ["ami.E002"]),
        ({"NATS_TASK_TTR": 300.0, "NATS_MAX_DELIVER": 3, "MEDIA_LINK_SECONDS": 900}, ["ami.E003"]),
        ({"PUSH_REQUEST_SECONDS": 60.0}, ["ami.E007"]),
        ({"CELERY_BROKER_TRANSPORT_OPTIONS": {"visibility_timeout": 120}}, ["ami.W001"]),
        ({"NATS_TASK_TTR": 2.0, "NATS_OPERATION_TIMEOUT": 1.0}, []),
    ],
)
def test_times_have_to_fit_together(settings: Settings, changes: dict[str, object], found: list[str]) -> None:
    for name, value in changes.items():
        setattr(settings, name, value)
    assert ids(list(check_times())) == found


def test_a_server_needs_a_key_and_a_name(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.SECRET_KEY, settings.ALLOWED_HOSTS = "", []
    monkeypatch.delenv("DATABASE_URL", raising=False)
    assert ids(list(check_deployment())) == ["ami.E004", "ami.E005", "ami.W002"]
    settings.DEBUG = True
    assert check_deployment() == []


def test_the_check_command_runs_them() -> None:
    environment = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "config.settings.production",
        "DJANGO_SECRET_KEY": "",
        "NATS_MAX_DELIVER": "0",
        "CONN_MAX_AGE": "soon",
        "OUTGOING_ALLOWED_NETWORKS": "10.0.0.0/8,10.1.2.3/8",
    }
    done = subprocess.run(
        [sys.executable, "manage.py", "check"], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode != 0
    for sentence in (
        "NATS_MAX_DELIVER is 0; it must be at least 1.",
        "CONN_MAX_AGE is 'soon', which is not of the type int.",
        "OUTGOING_ALLOWED_NETWORKS has '10.1.2.3/8' in it, which is not a network",
        "The secret key is missing",
    ):
        assert sentence in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("given", "read", "is_refused"),
    [
        ("10.0.0.0/8, fd00::/8", ["10.0.0.0/8", "fd00::/8"], False),
        ("192.168.1.7", ["192.168.1.7"], False),
        ("", [], False),
        ("lab", ["lab"], True),
        ("10.0.0.0/33", ["10.0.0.0/33"], True),
    ],
)
def test_networks_are_read_and_nonsense_among_them_is_a_problem(
    monkeypatch: pytest.MonkeyPatch, given: str, read: list[str], is_refused: bool
) -> None:
    monkeypatch.setenv("SOME_NETWORKS", given)
    monkeypatch.setattr("config.declare.DECLARED", {})
    assert networks("SOME_NETWORKS", [], "Some.") == read
    assert bool(declare.DECLARED["SOME_NETWORKS"].problem) is is_refused

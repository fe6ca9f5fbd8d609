"""Servers refuse to start with settings that make no sense, and say what to do."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

pytestmark = pytest.mark.integration


@pytest.mark.parametrize(
    "program",
    [
        ["-m", "gunicorn", "-c", "config/gunicorn.py", "-b", "127.0.0.1:0"],
        ["-m", "celery", "-A", "config.celery", "worker", "-P", "solo"],
    ],
    ids=["web", "celery"],
)
def test_a_server_with_a_nonsensical_setting_ends_with_a_sentence(program: list[str]) -> None:
    environment = os.environ | {"DJANGO_SETTINGS_MODULE": "config.settings.local", "NATS_MAX_DELIVER": "0"}
    ended = subprocess.run(
        [sys.executable, *program], env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert ended.returncode != 0
    assert "NATS_MAX_DELIVER is 0; it must be at least 1." in ended.stderr


def test_every_program_that_sets_django_up_enqueues_to_our_broker() -> None:
    code = "import django, celery; django.setup(); print(celery.current_app.conf.broker_url)"
    environment = os.environ | {
        "DJANGO_SETTINGS_MODULE": "config.settings.local",
        "CELERY_BROKER_URL": "redis://broker.example.org:6379/7",
    }
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.strip() == "redis://broker.example.org:6379/7"

"""Secrets that go through the server, or a worker, and what of them any log has afterwards: nothing."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from django.conf import settings as project_settings
from django.core.mail import EmailMessage
from django.utils.log import configure_logging as apply_logging
from pytest_django.fixtures import Settings

from ami.base.logs import configure_logging
from ami.jobs.tests.conftest import background as background
from ami.jobs.tests.world import OnDemandDispatcher
from ami.tests.leaks import requests, surroundings
from ami.tests.leaks.scene import Scene
from ami.tests.leaks.sinks import Sinks, spellings
from ami.tests.tenants import Tenants

pytestmark = [pytest.mark.integration, pytest.mark.django_db]

SCENES = [
    requests.tokens_and_keys,
    requests.passwords,
    requests.keys_in_the_admin,
    requests.keys_of_buckets,
    requests.links,
    requests.unforeseen_errors,
    requests.push_services,
    requests.failed_jobs,
    requests.webhooks,
    surroundings.background_tasks,
    surroundings.servers_away,
    surroundings.access_logs,
    surroundings.workers,
]


@pytest.fixture(params=["json", "console"])
def stderr(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[io.StringIO]:
    """What logging writes as it is set up for servers or for developers, but more talkative."""
    stream = io.StringIO()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "stderr", stream)
        patch.setattr(project_settings, "DEBUG", request.param == "console")
        chosen = configure_logging(request.param, "DEBUG")
        for name in ("django_structlog", "celery", "kombu"):
            chosen["loggers"][name]["level"] = "DEBUG"
        apply_logging(project_settings.LOGGING_CONFIG, chosen)
        yield stream
    apply_logging(project_settings.LOGGING_CONFIG, project_settings.LOGGING)


@pytest.fixture
def sinks(stderr: io.StringIO, mailoutbox: list[EmailMessage], settings: Settings) -> Sinks:
    """All places that are looked at, open."""
    settings.ADMINS = [("Ops", "ops@example.org")]
    return Sinks(stderr, mailoutbox)


@pytest.fixture
def scene(
    sinks: Sinks,
    background: OnDemandDispatcher,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> Scene:
    """The small world."""
    settings.MEDIA_ROOT = tmp_path
    return Scene(Tenants(draft=False), background, sinks.stderr, settings, monkeypatch)


@pytest.mark.parametrize("happen", SCENES)
def test_no_secret_is_written_down(happen: Callable[[Scene], list[str]], scene: Scene, sinks: Sinks) -> None:
    words = happen(scene)
    text = sinks.text()
    assert [word for word in words if word not in text] == [], "not everything was looked at"
    assert scene.secrets
    found = [one for secret in scene.secrets for one in spellings(secret) if one in text]
    assert not found, [line for line in text.splitlines() if any(one in line for one in found)]

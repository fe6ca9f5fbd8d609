"""Fixtures of the tests of the job API."""

from __future__ import annotations

import pytest

from ami.jobs.api import polling
from ami.jobs.api.presence import forget_lookups
from ami.jobs.tests.api.lab import Lab
from ami.jobs.tests.world import World
from ami.ml.heartbeats import forget_notes


@pytest.fixture
def lab(light_world: World, monkeypatch: pytest.MonkeyPatch) -> Lab:
    """A project with everybody who may call, inside one transaction that is rolled back."""
    monkeypatch.setattr(polling, "DRAINED_SECONDS", 0.0)
    forget_lookups()
    forget_notes()
    return Lab(light_world)

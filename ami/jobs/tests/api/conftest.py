"""Fixtures of the tests of the job API."""

from __future__ import annotations

import pytest

from ami.jobs.api.presence import forget_notes
from ami.jobs.lifecycle import openings
from ami.jobs.tests.api.lab import Lab
from ami.jobs.tests.world import World
from ami.ml.keys import forget_all
from ami.ml.pipeline_configs import forget_configs
from ami.ml.workers import forget_known


@pytest.fixture
def lab(light_world: World, monkeypatch: pytest.MonkeyPatch) -> Lab:
    """A project with everybody who may call, inside one transaction that is rolled back."""
    monkeypatch.setattr(openings, "DRAINED_SECONDS", 0.0)
    for forget in (openings.forget_drained, forget_notes, forget_known, forget_all, forget_configs):
        forget()
    return Lab(light_world)

"""The worlds that are attacked."""

from __future__ import annotations

from pathlib import Path

import pytest
from pytest_django.fixtures import Settings

from ami.jobs.tests.api.conftest import lab as lab
from ami.jobs.tests.api.lab import Lab
from ami.jobs.tests.conftest import background as background
from ami.jobs.tests.conftest import light_world as light_world
from ami.jobs.tests.world import OnDemandDispatcher
from ami.tests.hostile.estate import Estate
from ami.tests.hostile.victim import Victim


@pytest.fixture(autouse=True)
def calm(settings: Settings, tmp_path: Path) -> None:
    """No lease runs out while a case is under way, and files go to a folder of the test's own."""
    settings.NATS_TASK_TTR = 300.0
    settings.MEDIA_ROOT = tmp_path


@pytest.fixture
def victim(calm: None, lab: Lab) -> Victim:
    """A job in the hands of an honest worker."""
    return Victim(lab)


@pytest.fixture
def estate(db: None, calm: None, background: OnDemandDispatcher) -> Estate:
    """A public project, and the manager of another one."""
    return Estate(background)


@pytest.fixture
def hidden_estate(db: None, calm: None, background: OnDemandDispatcher) -> Estate:
    """The same with a hidden project."""
    return Estate(background, draft=True)

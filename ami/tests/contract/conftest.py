"""A live server for each contract test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from pytest_django.fixtures import Settings
from pytest_django.live_server_helper import LiveServer

from ami.jobs.tests.conftest import background as background
from ami.jobs.tests.world import OnDemandDispatcher
from ami.tests.contract.platform import Platform
from ami.tests.contract.worker import PullWorker


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything here replays the contract."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.contract)


@pytest.fixture
def platform(
    live_server: LiveServer,
    transactional_db: None,
    background: OnDemandDispatcher,
    settings: Settings,
    tmp_path: Path,
) -> Iterator[Platform]:
    """A server with a project; streams and keys are removed afterwards."""
    settings.MEDIA_ROOT = tmp_path
    made = Platform(f"{live_server.url}/api/v2", background)
    yield made
    made.close()


@pytest.fixture
def worker(platform: Platform) -> PullWorker:
    """A worker that has announced its pipelines."""
    return platform.registered_worker()

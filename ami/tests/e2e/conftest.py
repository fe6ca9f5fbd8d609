"""Platforms for the tests of the whole system: one a module, because starting one takes seconds."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from ami.tests.e2e.database import Database, migrated_database
from ami.tests.e2e.made_up import TwoBoxes
from ami.tests.e2e.platform import Platform
from ami.tests.e2e.project import Project


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything here is end to end."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.e2e)


@pytest.fixture(scope="session")
def template_database() -> Iterator[Database]:
    """Migrated once a session; nobody connects to it."""
    template = migrated_database(os.environ["DATABASE_URL"], f"e2e_template_{os.getpid()}")
    yield template
    template.drop()


@pytest.fixture(scope="module")
def start_platform(
    template_database: Database, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[..., Platform]]:
    """Starts a platform with these settings (as keyword arguments) for the tests of a module."""
    with ExitStack() as resources:

        def start(**settings: str) -> Platform:
            folder = tmp_path_factory.mktemp("platform")
            database = template_database.copy(f"e2e_{os.getpid()}_{folder.name}")
            resources.callback(database.drop)
            return resources.enter_context(Platform(folder, database, **settings))

        yield start


@pytest.fixture
def project(platform: Platform) -> Project:
    """A new project with a pipeline whose results are made up."""
    return Project.create(platform, TwoBoxes())

"""Platforms for the tests of the whole system; few, because starting one takes seconds."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
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


@contextmanager
def running_platform(template: Database, folder: Path, **settings: str) -> Iterator[Platform]:
    """A platform with a copy of the template and these settings as environment variables."""
    database = template.copy(f"e2e_{os.getpid()}_{folder.name}")
    try:
        with Platform(folder, database, **settings) as platform:
            yield platform
    finally:
        database.drop()


@pytest.fixture(scope="session")
def platform(template_database: Database, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """The platform that tests share; each makes a project of its own."""
    with running_platform(template_database, tmp_path_factory.mktemp("platform")) as platform:
        yield platform


@pytest.fixture
def project(platform: Platform) -> Project:
    """A new project with a pipeline whose results are made up."""
    return Project.create(platform, TwoBoxes())

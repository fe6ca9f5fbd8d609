"""Fixtures of the tests of projects and captures."""

from __future__ import annotations

from pathlib import Path

import pytest
from pytest_django.fixtures import Settings

from ami.main.tests.people import People, make_people


@pytest.fixture
def people(db: None) -> People:
    """The people of a project."""
    return make_people()


@pytest.fixture
def media(settings: Settings, tmp_path: Path) -> Path:
    """A media storage of this test's own."""
    folder = tmp_path / "media"
    folder.mkdir()
    settings.MEDIA_ROOT = folder
    return folder

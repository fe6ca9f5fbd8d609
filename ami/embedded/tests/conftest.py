"""Folders for stacks."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from ami.embedded.folders import temporary_folder


@pytest.fixture
def folder() -> Iterator[Path]:
    """An empty one. Not pytest's own, which is 0700 and leaves root's Postgres only the user namespace."""
    with temporary_folder() as path:
        yield path


@pytest.fixture(scope="session")
def used_folder() -> Iterator[Path]:
    """One that may hold the data of an earlier test, which spares making a database."""
    with temporary_folder() as path:
        yield path

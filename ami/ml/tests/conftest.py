"""Fixtures of the tests of models and predictions."""

from __future__ import annotations

import pytest

from ami.main.tests.people import People, make_people


@pytest.fixture
def people(db: None) -> People:
    """The people of a project."""
    return make_people()

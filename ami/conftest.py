"""What every test session needs: its options, and the queue's connection closed before its server stops."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ami.taskqueue import shutdown
from ami.tests.emptying import tables_are_emptied_fast as tables_are_emptied_fast

collect_ignore_glob = ["*/management/commands/*"]
"""A command may be called `test_...` and is none."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Options that are known wherever tests are run from."""
    parser.addoption(
        "--real", action="store_true", help="property tests: real NATS and Valkey instead of their twins"
    )


@pytest.fixture(scope="session", autouse=True)
def close_queue_connection() -> Iterator[None]:
    """Leave the servers before the session stops them."""
    yield
    shutdown()

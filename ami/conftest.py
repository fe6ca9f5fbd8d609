"""What every test session needs: the queue's connection closed before its server stops."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ami.taskqueue import shutdown

collect_ignore_glob = ["*/management/commands/*"]
"""A command may be called `test_...` and is none."""


@pytest.fixture(scope="session", autouse=True)
def close_queue_connection() -> Iterator[None]:
    """Leave the servers before the session stops them."""
    yield
    shutdown()

"""Reads that are cached may be old for a moment, never for long."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import connection, connections

from ami.main.models import Project
from ami.taskqueue.tests.waiting import wait_for
from ami.users.tests.factories import make_user

pytestmark = [pytest.mark.integration, pytest.mark.django_db(transaction=True)]


def names() -> list[str]:
    """The projects, as a page that lists them reads them."""
    return list(Project.objects.order_by("pk").values_list("name", flat=True))


def test_a_read_that_was_overtaken_by_a_write_is_not_believed_for_long() -> None:
    owner = make_user("owner@example.org")

    def write() -> None:
        try:
            Project.objects.create(name="New", owner=owner)
        finally:
            connections.close_all()

    def overtaken(execute: Callable[..., Any], *arguments: Any) -> Any:
        result = execute(*arguments)
        with ThreadPoolExecutor(1) as pool:
            pool.submit(write).result(10)
        return result

    with connection.execute_wrapper(overtaken):
        assert names() == []
    wait_for(lambda: names() == ["New"], seconds=6)

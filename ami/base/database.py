"""Raw SQL, spoken plainly: the few calls that the hot path makes instead of the ORM."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from django.db import connection, transaction

Row = tuple[Any, ...]
Parameters = Sequence[Any] | Mapping[str, Any]


def rows(sql: str, parameters: Parameters = ()) -> list[Row]:
    """Run a statement and return every row."""
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)
        return list(cursor.fetchall())


def execute(sql: str, parameters: Parameters = ()) -> int:
    """Run a statement and return how many rows it changed."""
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)
        return int(cursor.rowcount)


@contextmanager
def one_view() -> Iterator[None]:
    """All statements of the block see the same moment, and none of them can change anything.

    Without that, what moves between two statements looks lost. Inside a transaction it does nothing.
    """
    if connection.in_atomic_block:
        yield
        return
    with transaction.atomic():
        execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        yield

"""Empties the database after a test whose transactions were real: only what has rows, and fast.

Django's own way truncates every table and then makes content types and permissions anew, which takes longer
than most tests do. Here these stay, for they are the same before and after.
"""

from __future__ import annotations

from functools import lru_cache

import pytest
from django.db import connection
from django.test import TransactionTestCase

KEPT = frozenset({"django_migrations", "django_content_type", "auth_permission"})


def empty_database(_: object = None) -> None:
    """Remove all rows but those that migrations and Django itself put there."""
    with connection.cursor() as cursor:
        cursor.execute(_which_have_rows())
        names = [row[0] for row in cursor.fetchall()]
        if names:
            cursor.execute(f"TRUNCATE {', '.join(names)} CASCADE")


@lru_cache(maxsize=1)
def _which_have_rows() -> str:
    quoted = [
        connection.ops.quote_name(table)
        for table in connection.introspection.table_names()
        if table not in KEPT
    ]
    return " UNION ALL ".join(f"SELECT '{table}' WHERE EXISTS (SELECT 1 FROM {table})" for table in quoted)


@pytest.fixture(scope="session", autouse=True)
def tables_are_emptied_fast() -> None:
    """In place of what Django does after a transactional test."""
    TransactionTestCase._fixture_teardown = empty_database  # type: ignore[attr-defined]

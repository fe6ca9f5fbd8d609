"""Empties the database after a test whose transactions were real: only what was used, and fast.

Django's own way truncates every table and then makes content types and permissions anew, which takes longer
than most tests do. Here these stay, for they are the same before and after.
"""

from __future__ import annotations

import pytest
from django.db import connection
from django.test import TransactionTestCase

KEPT = frozenset({"django_migrations", "django_content_type", "auth_permission"})


_USED = """SELECT quote_ident(relname), relname FROM pg_class WHERE relkind = 'r'
AND relnamespace = current_schema()::regnamespace AND pg_relation_size(oid) > 0"""


def empty_database(_: object = None) -> None:
    """Remove all rows but those that migrations and Django itself put there.

    What rolled-back tests left in the files goes as well: Postgres judges a table by its size.
    """
    with connection.cursor() as cursor:
        cursor.execute(_USED)
        names = [quoted for quoted, name in cursor.fetchall() if name not in KEPT]
        if names:
            cursor.execute(f"TRUNCATE {', '.join(names)} CASCADE")


@pytest.fixture(scope="session", autouse=True)
def tables_are_emptied_fast() -> None:
    """In place of what Django does after a transactional test."""
    TransactionTestCase._fixture_teardown = empty_database  # type: ignore[attr-defined]

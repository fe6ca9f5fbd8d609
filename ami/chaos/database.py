"""Questions to the platform's database, which may be away: then the connection is dropped."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from django.db import DatabaseError, InterfaceError, OperationalError, connection

from ami.base.database import Parameters, Row, execute, rows


class DatabaseAway(Exception):
    """Postgres does not answer."""


def ask(sql: str, parameters: Parameters = ()) -> list[Row]:
    """The rows that a statement returns. Raises DatabaseAway, also for a connection that has just died."""
    try:
        return rows(sql, parameters)
    except (OperationalError, InterfaceError) as error:
        drop_connection()
        raise DatabaseAway from error


def value(sql: str, parameters: Parameters = ()) -> Any:
    """The one value that a statement returns. Raises DatabaseAway."""
    return ask(sql, parameters)[0][0]


def change(sql: str, parameters: Parameters = ()) -> int:
    """Change something behind everybody's back; returns how many rows."""
    return execute(sql, parameters)


def drop_connection() -> None:
    """This thread's next question opens a connection of its own."""
    with suppress(DatabaseError, InterfaceError):
        connection.close()

"""Time travel: everything that the database says about jobs and workers becomes older."""

from __future__ import annotations

from django.db import transaction

from ami.chaos.database import ask, change

_COLUMNS = """SELECT table_name, array_agg(column_name::text) FROM information_schema.columns
WHERE table_schema = 'public' AND data_type = 'timestamp with time zone' AND is_generated = 'NEVER'
    AND (table_name LIKE 'jobs\\_%%' OR table_name LIKE 'ml\\_%%') GROUP BY 1 ORDER BY 1"""


def age(seconds: float) -> None:
    """Move all times of the tables of jobs and of machine learning back."""
    with transaction.atomic():
        for table, columns in ask(_COLUMNS):
            moved = ", ".join(
                f'"{column}" = "{column}" - make_interval(secs => %(age)s)' for column in columns
            )
            change(f'UPDATE "{table}" SET {moved}', {"age": seconds})  # noqa: S608 - names from the catalogue

"""Everything that a request could change in the database, as plain values to compare."""

from __future__ import annotations

from collections import Counter, defaultdict
from functools import cache

from django.apps import apps

from ami.base.database import rows

State = dict[str, Counter[str]]
"""Table → its rows, each as JSON."""

_APPS = {"main", "ml", "jobs", "users", "knox"}
_SIGNS_OF_LIFE = ["last_seen", "last_seen_live", "last_seen_latency", "last_used_at", "rejected"]
"""Columns that every call of a worker may change: they say that it called, and what it was refused."""

_CALLERS = "ml_workerinstance"
"""Where a worker that calls for the first time gets a row of its own."""


def state() -> State:
    """Every row of our tables, now."""
    found: State = defaultdict(Counter)
    for table, row in rows(_statement(), {"ignored": _SIGNS_OF_LIFE}):
        found[table][row] += 1
    return found


def changes(before: State, after: State) -> dict[str, list[str]]:
    """The rows that are gone (-) or new (+), by table; a changed row is both. Empty if all is as it was."""
    found = {}
    for table in before.keys() | after.keys():
        gone = [f"- {row}" for row in (before[table] - after[table]).elements()]
        new = [f"+ {row}" for row in (after[table] - before[table]).elements()]
        if gone or (new and table != _CALLERS):
            found[table] = gone + new
    return found


@cache
def _tables() -> list[str]:
    models = apps.get_models(include_auto_created=True)
    return sorted({model._meta.db_table for model in models if model._meta.app_label in _APPS})


@cache
def _statement() -> str:
    return " UNION ALL ".join(
        f"SELECT '{table}', (to_jsonb(t) - %(ignored)s::text[])::text FROM {table} t" for table in _tables()
    )

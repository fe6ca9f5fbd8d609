"""What goes along when rows are deleted: counted, never read. Below a project hang millions of rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.contrib.auth import get_permission_codename
from django.db.models import CASCADE, PROTECT, Model
from django.http import HttpRequest

from ami.base.admin.pages import MOST_COUNTED
from ami.base.admin.shown import number

Forecast = tuple[list[str], dict[str, int], set[str], list[str]]
"""What Django's pages ask for: names, counts by kind, kinds that one may not delete, what is in the way."""

MOST_NAMED = 100


def forecast(rows: Sequence[Model], request: HttpRequest) -> Forecast:
    """The rows by name, and how many of each kind hang on them directly; a query per kind."""
    options = rows[0]._meta if rows else None
    if options is None:
        return [], {}, set(), []
    names = [str(row) for row in rows[:MOST_NAMED]]
    if more := len(rows) - MOST_NAMED:
        names += [f"and {number(more, 'other')}"] if more > 0 else []
    counts = {str(options.verbose_name_plural): len(rows)}
    kinds, in_the_way = [type(rows[0])], []
    for relation in options.related_objects:
        rule = getattr(relation, "on_delete", None)
        found = _hanging(relation, rows) if rule in (CASCADE, PROTECT) else 0
        name = str(relation.related_model._meta.verbose_name_plural)
        if found and rule is PROTECT:
            in_the_way.append(f"{name}: {found:,}{' or more' if found == MOST_COUNTED else ''}")
        elif found:
            kinds.append(relation.related_model)
            counts[name] = counts.get(name, 0) + found
    refused = {str(kind._meta.verbose_name) for kind in kinds if not _may(request, kind)}
    return names, counts, refused, in_the_way


def _hanging(relation: Any, rows: Sequence[Model]) -> int:
    """Rows that hang on these, MOST_COUNTED if there are more."""
    hanging = relation.related_model._base_manager.filter(**{f"{relation.field.name}__in": rows})
    return int(hanging[:MOST_COUNTED].count())


def _may(request: HttpRequest, kind: type[Model]) -> bool:
    code = get_permission_codename("delete", kind._meta)
    return request.user.has_perm(f"{kind._meta.app_label}.{code}")

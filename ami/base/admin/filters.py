"""Filters of lists that are the same everywhere."""

from __future__ import annotations

from typing import Any

from unfold.contrib.filters.admin import AutocompleteSelectFilter


def chosen(field: str) -> tuple[str, Any]:
    """A filter by a related row that is searched for by its name, for there may be thousands of them.

    The list needs `list_filter_submit`, for the form has a button.
    """
    return field, AutocompleteSelectFilter

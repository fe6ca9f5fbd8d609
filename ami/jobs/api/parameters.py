"""Query parameters of job endpoints that have rules of their own."""

from __future__ import annotations

from rest_framework.exceptions import ValidationError
from rest_framework.request import Request

LOGS_DEFAULT = 1_000
LOGS_MAX = 5_000
CUTOFF_HOURS_DEFAULT = 72
CUTOFF_HOURS_MAX = 24 * 365 * 100


def bounded_integer(request: Request, name: str, default: int, minimum: int, maximum: int) -> int:
    """A whole number within bounds; the default when absent. Raises a 400 with the field's name."""
    raw = request.query_params.get(name)
    if raw is None or raw == "":
        return default
    try:
        value = int(raw)
    except ValueError:
        raise ValidationError({name: ["A valid integer is required."]}) from None
    if not minimum <= value <= maximum:
        raise ValidationError({name: [f"Must be between {minimum} and {maximum}."]})
    return value

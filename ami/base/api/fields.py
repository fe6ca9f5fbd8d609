"""Fields that carry a rule of ours."""

from __future__ import annotations

from datetime import datetime, tzinfo
from typing import Any, TypeVar

from django.db.models import Model
from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

_M = TypeVar("_M", bound=Model)


@extend_schema_field(OpenApiTypes.ANY)
class NotYetField(serializers.Field[Any, Any, Any, Any]):
    """A key of the wire contract whose feature is not built: always the same empty value."""

    def __init__(self, value: Any = None, **kwargs: Any) -> None:
        """`value`: what clients take for "nothing": null, 0 or an empty list."""
        self.value = value
        super().__init__(read_only=True, source="*", **kwargs)

    def to_representation(self, value: Any) -> Any:
        """The empty value, whatever the row."""
        return self.value


class StationTimeField(serializers.DateTimeField):
    """A time that may come without a zone: it stays naive until `in_zone` gives it that of its station."""

    def enforce_timezone(self, value: datetime) -> datetime:
        """Leave a naive time alone; everything else is handled as usual."""
        return value if timezone.is_naive(value) else super().enforce_timezone(value)


class KeyField(serializers.PrimaryKeyRelatedField[_M]):
    """An object by its key. A number with a fraction is none: cut off, it would name another object."""

    def to_internal_value(self, data: Any) -> _M:
        """The object behind a key."""
        if isinstance(data, float):
            self.fail("incorrect_type", data_type="float")
        return super().to_internal_value(data)


def in_zone(value: datetime | None, zone: tzinfo) -> datetime | None:
    """A naive time read in `zone`; an aware one, or None, unchanged."""
    return value.replace(tzinfo=zone) if value is not None and timezone.is_naive(value) else value


def parse_key(value: Any) -> int | None:
    """A primary key from a URL, a query or a body; None if it is not one."""
    if isinstance(value, bool):
        return None
    text = str(value).strip()
    if not text.isascii() or not text.isdigit() or len(text) > 18:
        return None
    return int(text)

"""The base of our serializers: links to the object itself, and what the caller may do to it."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, TypeVar

from django.db.models import Model
from django.urls import reverse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.request import Request

_M = TypeVar("_M", bound=Model)

_PLACEHOLDER = 0


@extend_schema_field(OpenApiTypes.URI)
class DetailsField(serializers.Field[Any, Any, str | None, Any]):
    """The absolute address of an object's own page, made from its key without a look at the database.

    `source="*"` (the default) links to the object itself; a foreign key links to its target by
    `DetailsField("api:job-detail", key="job_id")`.
    """

    def __init__(self, view_name: str, *, key: str = "pk", **kwargs: Any) -> None:
        """`view_name`: the route of the page; `key`: the attribute that holds the key."""
        self.view_name = view_name
        self.key = key
        super().__init__(read_only=True, source="*", **kwargs)

    def to_representation(self, value: Any) -> str | None:
        """The address; None where there is no key."""
        key = getattr(value, self.key)
        return None if key is None else link(self.context, self.view_name, key)


def link(context: Mapping[str, Any], view_name: str, key: int) -> str:
    """The absolute address of the page of an object; only the path where no request is in the context."""
    head, tail = _path_around_key(view_name)
    return f"{_base(context)}{head}{key}{tail}"


def list_link(context: Mapping[str, Any], view_name: str) -> str:
    """The absolute address of a list; only the path where no request is in the context."""
    return f"{_base(context)}{reverse(view_name)}"


def _base(context: Mapping[str, Any]) -> str:
    request: Request | None = context.get("request")
    return f"{request.scheme}://{request.get_host()}" if request else ""


@lru_cache(maxsize=256)
def _path_around_key(view_name: str) -> tuple[str, str]:
    """What stands before and after the key in the path; reversing for each row is felt in long lists."""
    head, _, tail = reverse(view_name, args=[_PLACEHOLDER]).rpartition(str(_PLACEHOLDER))
    return head, tail


class ObjectSerializer(serializers.ModelSerializer[_M]):
    """A model serializer with `user_permissions`; subclasses name it in their `fields`."""

    user_permissions = serializers.SerializerMethodField()

    def get_user_permissions(self, obj: _M) -> list[str]:
        """What the caller may do to this object: here, everything or nothing."""
        request = self.context.get("request")
        return ["update", "delete"] if request and request.user.is_superuser else []

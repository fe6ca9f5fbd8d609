"""The active project of a request: named in the URL, the query or the body."""

from __future__ import annotations

from typing import Any

from rest_framework.exceptions import NotFound, ValidationError
from rest_framework.permissions import SAFE_METHODS
from rest_framework.request import Request

from ami.base.api.fields import parse_key
from ami.main.models import Project


def named_project_ids(request: Request) -> set[int]:
    """Every project that query or body name as `project_id`. Raises a 400 for what is no id."""
    body = request.data.get("project_id") if isinstance(request.data, dict) else None
    return {
        _key(named) for named in (request.query_params.get("project_id"), body) if named not in (None, "")
    }


def active_project_id(request: Request, kwargs: dict[str, Any]) -> int | None:
    """The id that the request names: in a nested URL, as `?project_id=`, or in the body as `project_id`.

    The body counts only where something is created: on an object's own page it is data. Raises a 400 for
    what is no id.
    """
    named = kwargs.get("project_pk") or request.query_params.get("project_id")
    if not named and request.method not in SAFE_METHODS and "pk" not in kwargs:
        named = request.data.get("project_id") if isinstance(request.data, dict) else None
    if named is None or named == "":
        return None
    return _key(named)


def _key(named: Any) -> int:
    key = parse_key(named)
    if key is None:
        raise ValidationError({"project_id": ["A valid integer is required."]})
    return key


def active_project(request: Request, kwargs: dict[str, Any], *, required: bool) -> Project | None:
    """The project that the request names, if the caller may see it.

    Raises a 400 if one is required and none is named, a 404 if the required one is unknown. Where it is not
    required an unknown one counts as none.
    """
    key = active_project_id(request, kwargs)
    if key is None:
        if required:
            raise ValidationError({"project_id": ["This field is required."]})
        return None
    project: Project | None = Project.objects.all().visible_to(request.user).filter(pk=key).first()
    if project is None and required:
        raise NotFound("Not found.")
    return project

"""The base of serializers of objects that belong to a project."""

from __future__ import annotations

from operator import attrgetter
from typing import Any, ClassVar, TypeVar

from django.db.models import Model, Q
from rest_framework import serializers

from ami.base.api.fields import KeyField
from ami.base.api.serializers import ObjectSerializer
from ami.main.api.access import access_of
from ami.main.models import Project

_M = TypeVar("_M", bound=Model)


class ProjectObjectSerializer(ObjectSerializer[_M]):
    """Adds `user_permissions` from the caller's role in the object's project; one lookup per request."""

    project_key: ClassVar[str] = "project_id"
    """Attribute (dots allowed) that holds the id of the object's project."""

    noun: ClassVar[str] = ""
    """The kind of object in permission codenames; empty: the model's name."""

    def get_user_permissions(self, obj: _M) -> list[str]:
        """What the caller may do to this object."""
        request = self.context.get("request")
        if request is None:
            return []
        noun = self.noun or str(obj._meta.model_name)
        return access_of(request).verbs(noun, attrgetter(self.project_key)(obj))


class VisibleProjectField(KeyField[Project]):
    """A project by its id; only those that the caller may see exist."""

    def get_queryset(self) -> Any:
        """The projects that the caller may see."""
        request = self.context.get("request")
        return Project.objects.all().visible_to(request.user) if request else Project.objects.none()


class VisibleField(KeyField[Any]):
    """Part of a project by its id, written and never shown; null takes it away.

    What belongs to a project that the caller may not see does not exist; what belongs to none is everybody's.
    """

    def __init__(self, **kwargs: Any) -> None:
        """`queryset`: all of its kind."""
        super().__init__(write_only=True, required=False, allow_null=True, **kwargs)

    def get_queryset(self) -> Any:
        """What the caller may see."""
        everything: Any = super().get_queryset()
        request = self.context.get("request")
        if request is None:
            return everything.none()
        visible = Project.objects.all().visible_to(request.user)
        return everything.filter(Q(project__in=visible) | Q(project__isnull=True))


def refuse_strangers(project: Project | None, **named: Any) -> None:
    """Raise a 400 for each object that belongs to another project; None and objects of no project pass.

    Keyword arguments: the field's name on the wire and the object that the body names there.
    """
    problems = {
        field: ["This does not belong to the project."]
        for field, obj in named.items()
        if obj is not None
        and obj.project_id is not None
        and (project is None or obj.project_id != project.pk)
    }
    if problems:
        raise serializers.ValidationError(problems)

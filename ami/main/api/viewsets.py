"""The base of all views over objects that belong to a project."""

from __future__ import annotations

from functools import cached_property
from typing import Any, ClassVar, TypeVar, cast

from django.db.models import Model, QuerySet
from rest_framework.permissions import SAFE_METHODS
from rest_framework.request import Request
from rest_framework.serializers import BaseSerializer
from rest_framework.viewsets import GenericViewSet

from ami.main.api.access import Access, access_of
from ami.main.api.projects import active_project
from ami.main.models import Project

_M = TypeVar("_M", bound=Model)

_VERBS = {"partial_update": "update", "destroy": "delete"}


class ProjectScopedViewSet(GenericViewSet[_M]):
    """Shows what the caller may see, and lets the caller do what a role in the project allows.

    Objects of projects that the caller may not see are not in the queryset, hence a 404. Everything else
    needs the codename `<verb>_<noun>` in the object's project.
    """

    project_path: ClassVar[str] = "project"
    """How the ORM gets from the model to its project."""

    require_project: ClassVar[bool | frozenset[str]] = False
    """Whether the request has to name a project: always, never, or for these actions."""

    noun: ClassVar[str] = ""
    """The kind of object in permission codenames; empty: the model's name."""

    verbs: ClassVar[dict[str, str]] = {}
    """Verbs of actions in codenames where they differ from the action's name."""

    @property
    def access(self) -> Access:
        """What the caller may do."""
        return access_of(self.request)

    @cached_property
    def active_project(self) -> Project | None:
        """The project that the request names, if the caller may see it."""
        required = self.require_project
        if not isinstance(required, bool):
            required = self.action in required
        return active_project(self.request, self.kwargs, required=required)

    def get_queryset(self) -> QuerySet[_M]:
        """The rows of the active project, or of every project that the caller may see."""
        queryset = super().get_queryset()
        if self.active_project is not None:
            return queryset.filter(**{self.project_path: self.active_project.pk})
        visible = Project.objects.all().visible_to(self.request.user)
        return queryset.filter(**{f"{self.project_path}__in": visible})

    def may(self, request: Request, obj: Any) -> bool:
        """Whether the caller may do the current action to this object."""
        if request.method in SAFE_METHODS:
            return True
        return self.access.may(self.codename(self.action or ""), self.project_id_of(obj))

    def project_id_of(self, obj: Any) -> int | None:
        """The project of an object, without a look at the database where its id is on the row."""
        path = self.project_path.split("__")
        for name in path[:-1]:
            obj = getattr(obj, name)
        key: int | None = getattr(obj, f"{path[-1]}_id")
        return key

    def codename(self, action: str) -> str:
        """The permission that an action needs."""
        noun = self.noun or cast("Any", self).queryset.model._meta.model_name
        return f"{self.verbs.get(action) or _VERBS.get(action, action)}_{noun}"

    def require(self, action: str, project_id: int | None) -> None:
        """Raise a 401 or 403 unless the caller may do `action` in the project."""
        if not self.access.may(self.codename(action), project_id):
            self.permission_denied(self.request)

    def perform_create(self, serializer: BaseSerializer[_M]) -> None:
        """Create what the caller may create in the project that the body names."""
        project: Project | None = serializer.validated_data.get("project")
        self.require("create", project.pk if project else None)
        serializer.save()

    def envelope_permissions(self) -> list[str]:
        """What the caller may do with a list as a whole."""
        if self.request.user.is_superuser:
            return ["create"]
        project = self.active_project
        return ["create"] if project and self.access.may(self.codename("create"), project.pk) else []

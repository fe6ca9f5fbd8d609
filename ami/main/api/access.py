"""What the caller of a request may do, looked up once per request, never per row."""

from __future__ import annotations

from functools import cached_property, lru_cache

from django.contrib.auth.models import AnonymousUser
from rest_framework.request import Request

from ami.main.models.project import permissions_by_project
from ami.users.models import User
from ami.users.roles import ROLES

EVERYTHING: frozenset[str] = frozenset().union(*(definition.permissions for definition in ROLES.values()))
"""Every permission that any role holds: what a superuser may do."""


class Access:
    """The permissions of one person in all projects."""

    def __init__(self, user: User | AnonymousUser) -> None:
        """Nothing is looked up before it is asked for."""
        self.user = user

    @cached_property
    def _held(self) -> dict[int, frozenset[str]]:
        return permissions_by_project(self.user)

    def permissions(self, project_id: int | None) -> frozenset[str]:
        """What the person may do in a project; nothing where there is no project."""
        if self.user.is_superuser:
            return EVERYTHING
        return self._held.get(project_id, frozenset()) if project_id is not None else frozenset()

    def may(self, codename: str, project_id: int | None) -> bool:
        """Whether the person holds `codename` in the project; superusers may do everything."""
        return self.user.is_superuser or codename in self.permissions(project_id)

    def projects(self) -> list[int]:
        """The projects in which the person has a role, or which the person owns."""
        return list(self._held)

    def is_member(self, project_id: int) -> bool:
        """Whether the person has any role in the project, or owns it."""
        return project_id in self._held

    def verbs(self, noun: str, project_id: int | None) -> list[str]:
        """What an object shows as `user_permissions`: `update`, `delete`, then the verbs of its kind."""
        return list(_verbs(self.permissions(project_id), noun))


def access_of(request: Request) -> Access:
    """The access of the caller, made once per request."""
    access: Access | None = getattr(request, "_access", None)
    if access is None or access.user is not request.user:
        access = Access(request.user)
        request._access = access  # type: ignore[attr-defined]
    return access


@lru_cache(maxsize=1024)
def _verbs(permissions: frozenset[str], noun: str) -> tuple[str, ...]:
    suffix = f"_{noun}"
    found = {codename.removesuffix(suffix) for codename in permissions if codename.endswith(suffix)}
    common = tuple(verb for verb in ("update", "delete") if verb in found)
    return common + tuple(sorted(found - {"update", "delete", "create", "view"}))

"""Who may call a view. What a person may do to an object is the view's business, through `may()`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from rest_framework.permissions import SAFE_METHODS, BasePermission
from rest_framework.request import Request

if TYPE_CHECKING:  # views import this module through the settings: a real import would be a circle
    from rest_framework.views import APIView


@runtime_checkable
class GuardsObjects(Protocol):
    """A view that knows what the caller may do to an object."""

    def may(self, request: Request, obj: Any) -> bool:
        """Whether the caller may do the view's current action to this object."""
        ...


class ObjectPermission(BasePermission):
    """The default: nobody creates without an account, and everything else is asked per object.

    Who would create without an account is turned away before the body is read. A view without `may()` is
    closed to everybody but superusers, so that a forgotten permission is a closed door.
    """

    def has_permission(self, request: Request, view: APIView) -> bool:
        """Let everybody in where each object is guarded."""
        if not isinstance(view, GuardsObjects):
            return bool(request.user and request.user.is_superuser)
        if request.method in SAFE_METHODS or "pk" in view.kwargs:
            return True
        return bool(request.user and request.user.is_authenticated)

    def has_object_permission(self, request: Request, view: APIView, obj: Any) -> bool:
        """Ask the view."""
        return not isinstance(view, GuardsObjects) or view.may(request, obj)


class IsActiveStaffOrReadOnly(BasePermission):
    """Everybody reads; active staff and superusers write."""

    def has_permission(self, request: Request, view: APIView) -> bool:
        """Safe methods, or staff."""
        return request.method in SAFE_METHODS or is_active_staff(request.user)


class IsActiveStaff(BasePermission):
    """Active staff and superusers only."""

    def has_permission(self, request: Request, view: APIView) -> bool:
        """Staff."""
        return is_active_staff(request.user)


def is_active_staff(user: Any) -> bool:
    """Whether this is a member of the staff whose account is in use."""
    return bool(user and user.is_active and (user.is_staff or user.is_superuser))

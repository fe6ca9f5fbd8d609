"""Who has an account."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from ami.users.models import User

if TYPE_CHECKING:  # views import this module through the settings: a real import would be a circle
    from rest_framework.views import APIView


class HasAccount(BasePermission):
    """People, and workers with a person's token; machines with a key have no account."""

    def has_permission(self, request: Request, view: APIView) -> bool:
        """Whether an account calls."""
        return isinstance(request.user, User)

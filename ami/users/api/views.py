"""Views of accounts. Tokens are made at login and shown once; the database keeps their hash."""

from __future__ import annotations

from typing import Any, cast

from django.contrib.auth.signals import user_logged_in
from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from knox.models import get_token_model
from rest_framework import status
from rest_framework.decorators import action
from rest_framework.exceptions import MethodNotAllowed
from rest_framework.mixins import CreateModelMixin, ListModelMixin, RetrieveModelMixin
from rest_framework.permissions import AllowAny, BasePermission
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import BaseSerializer
from rest_framework.views import APIView
from rest_framework.viewsets import GenericViewSet

from ami.base.api.forms import SmallFormParser, SmallMultiPartParser
from ami.base.api.json import SmallJsonParser
from ami.base.api.permissions import IsActiveStaff, is_active_staff
from ami.users.api import schema  # noqa: F401 - drf-spectacular finds what is imported
from ami.users.api.serializers import (
    LoginSerializer,
    MeSerializer,
    NewUserSerializer,
    RoleSerializer,
    TokenSerializer,
)
from ami.users.authentication import forget
from ami.users.models import User
from ami.users.permissions import HasAccount
from ami.users.roles import ROLES
from ami.users.throttling import LoginPerAccount, LoginPerAddress


class LoginView(APIView):
    """Exchange e-mail and password for a token."""

    authentication_classes = []
    permission_classes = [AllowAny]
    parser_classes = [SmallJsonParser, SmallFormParser, SmallMultiPartParser]
    throttle_classes = [LoginPerAddress, LoginPerAccount]

    @extend_schema(request=LoginSerializer, responses=TokenSerializer)
    def post(self, request: Request) -> Response:
        """Make a token for the account."""
        serializer = LoginSerializer(data=request.data, context={"request": request})
        serializer.is_valid(raise_exception=True)
        user: User = serializer.validated_data["user"]
        _, token = get_token_model().objects.create(user=user)
        user_logged_in.send(sender=User, request=request, user=user)
        return Response({"auth_token": token})


class LogoutView(APIView):
    """End the token that the request carries."""

    permission_classes = [HasAccount]

    @extend_schema(request=None, responses={204: None})
    def post(self, request: Request) -> Response:
        """Delete the token; other tokens of the account go on."""
        token: Any = request.auth
        forget(token.digest)
        token.delete()
        return Response(status=status.HTTP_204_NO_CONTENT)


class UserViewSet(CreateModelMixin, ListModelMixin, RetrieveModelMixin, GenericViewSet[User]):
    """Accounts: administrators make and list them, everybody sees their own."""

    queryset = User.objects.order_by("pk")
    serializer_class = MeSerializer
    ordering_fields = ["name", "email"]

    def get_permissions(self) -> list[BasePermission]:
        """Staff for lists and new accounts; one's own account needs a login; roles are public."""
        if self.action == "roles":
            return [AllowAny()]
        return [HasAccount()] if self.action in ("me", "retrieve") else [IsActiveStaff()]

    def get_queryset(self) -> QuerySet[User]:
        """Everybody for staff, oneself for others."""
        everybody = super().get_queryset()
        caller = cast("User", self.request.user)
        return everybody if is_active_staff(caller) else everybody.filter(pk=caller.pk)

    def get_serializer_class(self) -> type[BaseSerializer[User]]:
        """New accounts come with a password."""
        return NewUserSerializer if self.action == "create" else MeSerializer

    def envelope_permissions(self) -> list[str]:
        """Who may list accounts may make them."""
        return ["create"]

    @extend_schema(methods=["GET"], responses=MeSerializer)
    @extend_schema(methods=["PUT", "PATCH"], request=MeSerializer, responses=MeSerializer)
    @extend_schema(methods=["DELETE"], responses={204: None})
    @action(
        detail=False, methods=["get", "put", "patch", "delete"], pagination_class=None, filter_backends=[]
    )
    def me(self, request: Request) -> Response:
        """The caller's own account: read, change, delete."""
        user = User.objects.get(pk=cast("User", request.user).pk)
        match request.method:
            case "GET":
                return Response(self.get_serializer(user).data)
            case "PUT" | "PATCH":
                serializer = self.get_serializer(user, data=request.data, partial=request.method == "PATCH")
                serializer.is_valid(raise_exception=True)
                serializer.save()
                return Response(serializer.data)
            case "DELETE":
                forget(cast("Any", request.auth).digest)
                user.delete()
                return Response(status=status.HTTP_204_NO_CONTENT)
        raise MethodNotAllowed(str(request.method))

    @extend_schema(responses=RoleSerializer(many=True))
    @action(detail=False, pagination_class=None, filter_backends=[])
    def roles(self, request: Request) -> Response:
        """The roles that a member of a project can have."""
        return Response(RoleSerializer(list(ROLES.values()), many=True).data)

"""Accounts on the wire."""

from __future__ import annotations

from typing import Any

from django.contrib.auth import authenticate
from django.contrib.auth.password_validation import validate_password
from rest_framework import serializers
from rest_framework.exceptions import ValidationError
from rest_framework.validators import UniqueValidator

from ami.base.api.serializers import DetailsField, ObjectSerializer
from ami.users.models import User


class LoginSerializer(serializers.Serializer[User]):
    """E-mail and password; after validation `user` is the account."""

    email = serializers.CharField(write_only=True)
    password = serializers.CharField(write_only=True, trim_whitespace=False)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Find the account, without saying which half was wrong."""
        user = authenticate(
            self.context.get("request"), username=attrs["email"].strip(), password=attrs["password"]
        )
        if user is None:
            raise ValidationError("Unable to log in with provided credentials.")
        return {"user": user}


class TokenSerializer(serializers.Serializer[Any]):
    """The answer to a login; the only time that the token is shown."""

    auth_token = serializers.CharField(read_only=True)


class UserNestedSerializer(ObjectSerializer[User]):
    """A person as the owner of something."""

    details = DetailsField("api:user-detail")

    class Meta:
        model = User
        fields = ["id", "name", "image", "details"]


class MeSerializer(ObjectSerializer[User]):
    """The caller's own account. Identifications are not a feature yet, so the list is empty."""

    details = DetailsField("api:user-detail")
    identifications = serializers.SerializerMethodField()

    class Meta:
        model = User
        fields = ["id", "name", "details", "image", "identifications", "email", "user_permissions"]
        read_only_fields = ["email"]

    def get_identifications(self, _user: User) -> list[str]:
        """None yet."""
        return []


class NewUserSerializer(ObjectSerializer[User]):
    """An account that an administrator makes."""

    details = DetailsField("api:user-detail")
    email = serializers.EmailField(
        validators=[
            UniqueValidator(
                User.objects.all(), lookup="iexact", message="An account with this e-mail exists already."
            )
        ]
    )
    password = serializers.CharField(write_only=True, trim_whitespace=False)

    class Meta:
        model = User
        fields = ["id", "name", "details", "image", "email", "password", "user_permissions"]

    def validate_password(self, password: str) -> str:
        """Refuse passwords that are easily guessed."""
        validate_password(password)
        return password

    def create(self, validated_data: dict[str, Any]) -> User:
        """Make the account with a hashed password."""
        return User.objects.create_user(**validated_data)


class RoleSerializer(serializers.Serializer[Any]):
    """A role that a member of a project can have."""

    id = serializers.CharField(source="role.value")
    name = serializers.CharField(source="role.label")
    description = serializers.CharField()

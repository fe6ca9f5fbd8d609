"""Webhooks of a project: its managers say who is told that jobs end."""

from __future__ import annotations

from typing import Any, ClassVar

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import ModelViewSet

from ami.base.outgoing import AddressRefused, check_url
from ami.jobs.models import Webhook
from ami.jobs.notifying.signing import new_secret
from ami.main.api.viewsets import ProjectScopedViewSet
from ami.main.storage.secrets import seal
from ami.users.models import User

MOST_PER_PROJECT = 20


class WebhookSerializer(serializers.ModelSerializer[Webhook]):
    """A webhook, without its secret."""

    class Meta:
        model = Webhook
        fields: ClassVar[list[str]] = ["id", "name", "url", "active", "created_at", "updated_at"]

    def validate_url(self, url: str) -> str:
        """Only what the server may call; a name is looked up again, and judged, at each call."""
        try:
            check_url(url)
        except AddressRefused as error:
            raise serializers.ValidationError([error.message]) from error
        return url


class NewWebhookSerializer(WebhookSerializer):
    """A webhook that was just made, with its secret: the only time that it is shown."""

    secret = serializers.SerializerMethodField()

    class Meta(WebhookSerializer.Meta):
        fields: ClassVar[list[str]] = [*WebhookSerializer.Meta.fields, "secret"]

    def get_secret(self, _webhook: Webhook) -> str:
        """With it the receiver verifies the signature."""
        return str(self.context["secret"])


@extend_schema(parameters=[OpenApiParameter("project_pk", int, OpenApiParameter.PATH)])
class WebhookViewSet(ProjectScopedViewSet[Webhook], ModelViewSet[Webhook]):
    """Webhooks of a project, for its managers. Their addresses may hold secrets, so nobody else sees them."""

    queryset = Webhook.objects.order_by("pk")
    serializer_class = WebhookSerializer
    noun = "project"
    require_project = True

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Whatever is done to a webhook is a change of the project."""
        super().initial(request, *args, **kwargs)
        project = self.active_project
        self.require("update", project.pk if project else None)

    def may(self, request: Request, obj: Any) -> bool:
        """`initial` has asked."""
        return True

    @extend_schema(request=WebhookSerializer, responses={201: NewWebhookSerializer})
    def create(self, request: Request, *_: Any, **__: Any) -> Response:
        """Make a webhook; the answer has the secret that signs what it gets."""
        body = self.get_serializer(data=request.data)
        body.is_valid(raise_exception=True)
        project = self.active_project
        if Webhook.objects.filter(project=project).count() >= MOST_PER_PROJECT:
            raise serializers.ValidationError([f"A project has {MOST_PER_PROJECT} webhooks at most."])
        secret = new_secret()
        account = request.user if isinstance(request.user, User) else None
        made = body.save(project=project, secret=seal(secret), created_by=account)
        shown = NewWebhookSerializer(made, context={**self.get_serializer_context(), "secret": secret})
        return Response(shown.data, status=status.HTTP_201_CREATED, headers={"Cache-Control": "no-store"})

"""Upload of single images."""

from __future__ import annotations

from typing import cast

from django.db.models import QuerySet
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema, extend_schema_field
from rest_framework import serializers, status
from rest_framework.exceptions import ValidationError
from rest_framework.mixins import DestroyModelMixin, ListModelMixin, RetrieveModelMixin
from rest_framework.request import Request
from rest_framework.response import Response

from ami.base.api.fields import KeyField
from ami.base.api.filters import flag
from ami.base.api.forms import BoundedMultiPartParser
from ami.base.errors import InvalidInput
from ami.main.api.filters import visible_deployments
from ami.main.api.projects import named_project_ids
from ami.main.api.serializers.capture import UploadSerializer
from ami.main.api.viewsets import ProjectScopedViewSet
from ami.main.images import UnreadableImage
from ami.main.models import Deployment, SourceImageUpload
from ami.main.uploads import upload_image
from ami.users.models import User


@extend_schema_field(OpenApiTypes.INT)
class _DeploymentField(KeyField[Deployment]):
    def get_queryset(self) -> QuerySet[Deployment]:
        return visible_deployments(self.context["request"])


class NewUploadSerializer(serializers.Serializer[SourceImageUpload]):
    """The form of an upload. Whether it is an image is for `upload_image` to say."""

    image = serializers.FileField(allow_empty_file=False)
    deployment = _DeploymentField()


class UploadViewSet(
    ListModelMixin, RetrieveModelMixin, DestroyModelMixin, ProjectScopedViewSet[SourceImageUpload]
):
    """Uploads of the caller; others have theirs."""

    queryset = SourceImageUpload.objects.select_related(
        "deployment__project", "source_image__data_source"
    ).order_by("-pk")
    serializer_class = UploadSerializer
    parser_classes = [BoundedMultiPartParser]
    project_path = "deployment__project"
    ordering_fields = ["created_at"]

    def get_queryset(self) -> QuerySet[SourceImageUpload]:
        """The caller's own."""
        return super().get_queryset().filter(user_id=self.request.user.pk or 0)

    @extend_schema(
        request=NewUploadSerializer,
        responses={201: UploadSerializer},
        parameters=[
            OpenApiParameter("project_id", int),
            OpenApiParameter("process_now", bool, required=True, description="Also start a job for it."),
        ],
    )
    def create(self, request: Request) -> Response:
        """Store an image as a capture of a station."""
        if "process_now" not in request.query_params:
            raise ValidationError({"process_now": ["This field is required."]})
        serializer = NewUploadSerializer(data=request.data, context=self.get_serializer_context())
        serializer.is_valid(raise_exception=True)
        deployment: Deployment = serializer.validated_data["deployment"]
        if named_project_ids(request) - {deployment.project_id}:
            raise ValidationError({"deployment": ["This does not belong to the project."]})
        self.require("create", deployment.project_id)
        process_now = flag(request, "process_now")
        if process_now:
            self.check_processing(deployment)
        try:
            upload = upload_image(
                deployment=deployment,
                file=serializer.validated_data["image"],
                user=cast("User", request.user),
            )
        except UnreadableImage as error:
            raise ValidationError({"image": [error.message]}) from error
        if process_now:
            self.process(upload)
        return Response(self.get_serializer(upload).data, status=status.HTTP_201_CREATED)

    def check_processing(self, deployment: Deployment) -> None:
        """Raise unless an upload can be processed at once; the layer of jobs, above, knows how."""
        raise InvalidInput("Uploads are not processed at once here; start a job for the capture.")

    def process(self, upload: SourceImageUpload) -> None:
        """Start a job for the capture; called only after `check_processing` let it pass."""

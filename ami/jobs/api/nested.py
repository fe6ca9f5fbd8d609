"""The short forms of other objects inside a job's JSON (contract 1.8)."""

from __future__ import annotations

from typing import Any, ClassVar

from rest_framework import serializers

from ami.base.api.serializers import DetailsField
from ami.main.api.serializers.base import ProjectObjectSerializer
from ami.main.media import base_url_of, capture_url
from ami.main.models import Deployment, Project, SourceImage, SourceImageCollection
from ami.ml.models import Pipeline


class NestedProject(ProjectObjectSerializer[Project]):
    """A project as jobs show it."""

    project_key = "pk"
    details = DetailsField("api:project-detail")

    class Meta:
        model = Project
        fields: ClassVar[list[str]] = ["id", "name", "details", "user_permissions"]


class NestedDeployment(ProjectObjectSerializer[Deployment]):
    """A deployment as jobs show it."""

    details = DetailsField("api:deployment-detail")

    class Meta:
        model = Deployment
        fields: ClassVar[list[str]] = ["id", "name", "details", "user_permissions"]


class NestedCaptureSet(ProjectObjectSerializer[SourceImageCollection]):
    """A capture set as jobs show it."""

    details = DetailsField("api:sourceimagecollection-detail")

    class Meta:
        model = SourceImageCollection
        fields: ClassVar[list[str]] = ["id", "name", "details", "method", "user_permissions"]


class NestedPipeline(serializers.ModelSerializer[Pipeline]):
    """A pipeline as jobs show it."""

    details = DetailsField("api:pipeline-detail")
    user_permissions = serializers.SerializerMethodField()

    class Meta:
        model = Pipeline
        fields: ClassVar[list[str]] = [
            "id",
            "details",
            "name",
            "slug",
            "description",
            "version",
            "version_name",
            "created_at",
            "updated_at",
            "user_permissions",
        ]

    def get_user_permissions(self, _pipeline: Pipeline) -> list[str]:
        """Pipelines are changed by superusers only."""
        request = self.context.get("request")
        return ["update", "delete"] if request and request.user.is_superuser else []


class NestedCapture(serializers.ModelSerializer[SourceImage]):
    """A capture as single-image jobs show it."""

    details = DetailsField("api:sourceimage-detail")
    url = serializers.SerializerMethodField()
    event_id = serializers.SerializerMethodField()

    class Meta:
        model = SourceImage
        fields: ClassVar[list[str]] = ["id", "details", "url", "width", "height", "timestamp", "event_id"]

    def get_url(self, capture: SourceImage) -> str | None:
        """Where to fetch it."""
        request: Any = self.context.get("request")
        base_url = base_url_of(request) if request else ""
        return capture_url(capture.path, capture.public_base_url, capture.pk, base_url)

    def get_event_id(self, _capture: SourceImage) -> int | None:
        """Sessions do not exist yet."""
        return None

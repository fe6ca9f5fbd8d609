"""Projects, stations, captures and sets as parts of something else."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from ami.base.api.serializers import DetailsField, link
from ami.main.addresses import address_of
from ami.main.api.serializers.base import ProjectObjectSerializer
from ami.main.media import base_url_of
from ami.main.models import Deployment, Project, SourceImage, SourceImageCollection


class ProjectNestedSerializer(ProjectObjectSerializer[Project]):
    """A project by name."""

    details = DetailsField("api:project-detail")
    project_key = "pk"

    class Meta:
        model = Project
        fields = ["id", "name", "details", "user_permissions"]


class ProjectCardSerializer(ProjectNestedSerializer):
    """A project by name and picture."""

    class Meta(ProjectNestedSerializer.Meta):
        fields = ["id", "name", "image", "details", "user_permissions"]


class DeploymentNestedSerializer(ProjectObjectSerializer[Deployment]):
    """A station by name."""

    details = DetailsField("api:deployment-detail")

    class Meta:
        model = Deployment
        fields = ["id", "name", "details", "user_permissions"]


class CaptureSetNestedSerializer(ProjectObjectSerializer[SourceImageCollection]):
    """A capture set by name."""

    details = DetailsField("api:sourceimagecollection-detail")

    class Meta:
        model = SourceImageCollection
        fields = ["id", "name", "details", "method", "user_permissions"]


@extend_schema_field({"type": "string", "format": "uri", "nullable": True})
class CaptureUrlField(serializers.Field[Any, Any, str | None, SourceImage]):
    """Where to fetch a capture; null if it has no file."""

    def __init__(self, **kwargs: Any) -> None:
        """Made from the row, never written."""
        super().__init__(read_only=True, source="*", **kwargs)

    def to_representation(self, value: SourceImage) -> str | None:
        """The address, good for as long as a signed link is."""
        return url_of(self.context, value)


def url_of(context: Mapping[str, Any], capture: SourceImage) -> str | None:
    """Where to fetch a capture, under the host that the request named."""
    return address_of(capture, base_url_of(context["request"]))


class CaptureNestedSerializer(ProjectObjectSerializer[SourceImage]):
    """A capture by its picture."""

    details = DetailsField("api:sourceimage-detail")
    url = CaptureUrlField()
    event_id = serializers.IntegerField(read_only=True)

    class Meta:
        model = SourceImage
        fields = ["id", "details", "url", "width", "height", "timestamp", "event_id", "user_permissions"]


@extend_schema_field({"type": "array", "items": {"type": "object"}})
class RecentJobsField(serializers.Field[Any, Any, list[dict[str, Any]], Any]):
    """The latest jobs of a row that was read with `related.recent_jobs`."""

    def __init__(self, **kwargs: Any) -> None:
        """Made from the row, never written."""
        super().__init__(read_only=True, source="*", **kwargs)

    def to_representation(self, value: Any) -> list[dict[str, Any]]:
        """Newest first; empty for a row that was just created."""
        return [
            {
                "id": job.pk,
                "details": link(self.context, "api:job-detail", job.pk),
                "status": job.status,
                "job_type": job.job_type,
                "created_at": job.created_at,
                "updated_at": job.updated_at,
            }
            for job in getattr(value, "recent_jobs", ())
        ]

"""Camera stations, devices and sites on the wire."""

from __future__ import annotations

from typing import Any

from django.template.defaultfilters import filesizeformat
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from ami.base.api.fields import NotYetField
from ami.base.api.serializers import DetailsField
from ami.base.errors import InvalidInput
from ami.main.api.access import access_of
from ami.main.api.serializers.base import (
    ProjectObjectSerializer,
    VisibleField,
    VisibleProjectField,
    refuse_strangers,
)
from ami.main.api.serializers.nested import CaptureNestedSerializer, ProjectCardSerializer, RecentJobsField
from ami.main.api.serializers.storage import StorageNestedSerializer
from ami.main.models import Deployment, Device, Site, SourceImage, StorageSource
from ami.main.storage.sources import check_pattern

_EXAMPLES = 5


class _PlaceSerializer(ProjectObjectSerializer[Any]):
    """What devices and sites have in common."""

    project = VisibleProjectField(required=True, allow_null=False)

    class Meta:
        fields = [
            "id",
            "details",
            "name",
            "description",
            "project",
            "created_at",
            "updated_at",
            "user_permissions",
        ]

    def validate_project(self, project: Any) -> Any:
        """A device or site never moves to another project."""
        if self.instance is not None and self.instance.project_id != project.pk:
            raise serializers.ValidationError("The project of this cannot change.")
        return project


class DeviceSerializer(_PlaceSerializer):
    """A kind of camera station."""

    details = DetailsField("api:device-detail")

    class Meta(_PlaceSerializer.Meta):
        model = Device


class SiteSerializer(_PlaceSerializer):
    """A place of research."""

    details = DetailsField("api:site-detail")

    class Meta(_PlaceSerializer.Meta):
        model = Site


class DeviceNestedSerializer(ProjectObjectSerializer[Device]):
    """A device by name."""

    details = DetailsField("api:device-detail")

    class Meta:
        model = Device
        fields = ["id", "name", "details", "user_permissions"]


class SiteNestedSerializer(ProjectObjectSerializer[Site]):
    """A site by name."""

    details = DetailsField("api:site-detail")

    class Meta:
        model = Site
        fields = ["id", "name", "details", "user_permissions"]


class DeploymentListSerializer(ProjectObjectSerializer[Deployment]):
    """A station in a list."""

    details = DetailsField("api:deployment-detail")
    events = NotYetField([])
    occurrences = NotYetField()
    events_count = serializers.IntegerField(read_only=True, default=0)
    captures_count = serializers.IntegerField(read_only=True, default=0)
    occurrences_count = NotYetField(0)
    taxa_count = NotYetField(0)
    project = ProjectCardSerializer(read_only=True)
    first_date = serializers.DateTimeField(read_only=True, default=None)
    last_date = serializers.DateTimeField(read_only=True, default=None)
    device = DeviceNestedSerializer(read_only=True)
    research_site = SiteNestedSerializer(read_only=True)
    jobs = RecentJobsField()
    data_source_connected = serializers.SerializerMethodField()

    class Meta:
        model = Deployment
        fields: list[str] = [
            "id",
            "name",
            "details",
            "image",
            "events",
            "occurrences",
            "events_count",
            "captures_count",
            "occurrences_count",
            "taxa_count",
            "project",
            "created_at",
            "updated_at",
            "latitude",
            "longitude",
            "first_date",
            "last_date",
            "device",
            "research_site",
            "jobs",
            "data_source_connected",
            "user_permissions",
        ]

    def get_data_source_connected(self, deployment: Deployment) -> bool:
        """Whether it delivers to a data source."""
        return deployment.data_source_id is not None


class DeploymentSerializer(DeploymentListSerializer):
    """A station on its own page."""

    project_id = VisibleProjectField(source="project", write_only=True)
    device_id = VisibleField(source="device", queryset=Device.objects.all())
    research_site_id = VisibleField(source="research_site", queryset=Site.objects.all())
    data_source_id = VisibleField(source="data_source", queryset=StorageSource.objects.all())
    data_source = serializers.SerializerMethodField()
    data_source_uri = serializers.SerializerMethodField()
    data_source_total_files = serializers.IntegerField(read_only=True)
    data_source_total_size = serializers.IntegerField(read_only=True)
    data_source_total_size_display = serializers.SerializerMethodField()
    example_captures = serializers.SerializerMethodField()
    manually_uploaded_captures = serializers.SerializerMethodField()

    class Meta(DeploymentListSerializer.Meta):
        fields = [
            *DeploymentListSerializer.Meta.fields[:-1],
            "project_id",
            "device_id",
            "research_site_id",
            "data_source_id",
            "data_source",
            "data_source_uri",
            "data_source_total_files",
            "data_source_total_size",
            "data_source_total_size_display",
            "data_source_last_checked",
            "data_source_subdir",
            "data_source_regex",
            "time_zone",
            "description",
            "example_captures",
            "manually_uploaded_captures",
            "user_permissions",
        ]

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Device and site belong to the project of the station, which never changes."""
        if self.instance and attrs.get("project", self.instance.project) != self.instance.project:
            raise serializers.ValidationError({"project_id": ["The project of a deployment cannot change."]})
        project = attrs["project"] if self.instance is None else self.instance.project
        refuse_strangers(
            project,
            device_id=attrs.get("device"),
            research_site_id=attrs.get("research_site"),
            data_source_id=attrs.get("data_source"),
        )
        return attrs

    def validate_data_source_regex(self, pattern: str) -> str:
        """A pattern that the database knows."""
        try:
            return check_pattern(pattern)
        except InvalidInput as error:
            raise serializers.ValidationError(error.message) from error

    @extend_schema_field(StorageNestedSerializer(allow_null=True))
    def get_data_source(self, deployment: Deployment) -> Any:
        """Where it delivers, for those who have a part in the project."""
        source = self._data_source(deployment)
        return None if source is None else StorageNestedSerializer(source, context=self.context).data

    def get_data_source_uri(self, deployment: Deployment) -> str | None:
        """The place of this station in it, for the same."""
        source = self._data_source(deployment)
        return None if source is None else source.uri(deployment.data_source_subdir)

    def get_data_source_total_size_display(self, deployment: Deployment) -> str:
        """The size for people."""
        return filesizeformat(deployment.data_source_total_size)

    def _data_source(self, deployment: Deployment) -> StorageSource | None:
        access = access_of(self.context["request"])
        return deployment.data_source if access.may("view_private_data", deployment.project_id) else None

    @extend_schema_field(CaptureNestedSerializer(many=True))
    def get_example_captures(self, deployment: Deployment) -> Any:
        """The latest captures."""
        latest = SourceImage.objects.filter(deployment=deployment).order_by("-timestamp", "-pk")
        return self._captures(latest)

    @extend_schema_field(CaptureNestedSerializer(many=True))
    def get_manually_uploaded_captures(self, deployment: Deployment) -> Any:
        """The latest uploads."""
        uploads = SourceImage.objects.filter(deployment=deployment, upload__isnull=False).order_by("-pk")
        return self._captures(uploads)

    def _captures(self, captures: Any) -> Any:
        shown = captures.select_related("data_source")[:_EXAMPLES]
        return CaptureNestedSerializer(shown, many=True, context=self.context).data

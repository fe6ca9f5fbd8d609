"""Captures and uploads on the wire."""

from __future__ import annotations

from datetime import UTC
from typing import Any

from django.template.defaultfilters import filesizeformat
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from ami.base.api.fields import NotYetField, StationTimeField, in_zone
from ami.base.api.serializers import DetailsField, link, list_link
from ami.main.api.serializers.base import (
    ProjectObjectSerializer,
    VisibleField,
    VisibleProjectField,
    refuse_strangers,
)
from ami.main.api.serializers.event import EventNestedSerializer
from ami.main.api.serializers.nested import (
    CaptureNestedSerializer,
    CaptureSetNestedSerializer,
    CaptureUrlField,
    DeploymentNestedSerializer,
    RecentJobsField,
    url_of,
)
from ami.main.capture_sets import sets_of
from ami.main.models import Deployment, SourceImage, SourceImageUpload


class CaptureSerializer(ProjectObjectSerializer[SourceImage]):
    """A capture in a list."""

    details = DetailsField("api:sourceimage-detail")
    deployment = DeploymentNestedSerializer(read_only=True)
    event = EventNestedSerializer(read_only=True)
    url = CaptureUrlField()
    size_display = serializers.SerializerMethodField()
    detections_count = serializers.IntegerField(read_only=True, default=0)
    occurrences_count = NotYetField()
    taxa_count = NotYetField()
    last_processed = serializers.DateTimeField(read_only=True, default=None)
    detections = serializers.SerializerMethodField()
    thumbnails = NotYetField()
    project = VisibleProjectField()
    timestamp = StationTimeField(required=False, allow_null=True)

    class Meta:
        model = SourceImage
        fields: list[str] = [
            "id",
            "details",
            "deployment",
            "event",
            "url",
            "path",
            "timestamp",
            "width",
            "height",
            "size",
            "size_display",
            "detections_count",
            "occurrences_count",
            "taxa_count",
            "last_processed",
            "detections",
            "project",
            "thumbnails",
            "user_permissions",
        ]

    def get_size_display(self, capture: SourceImage) -> str | None:
        """The size for people."""
        if capture.size is None:
            return None
        return f"{capture.size} bytes" if capture.size < 1024 else filesizeformat(capture.size)

    @extend_schema_field(serializers.ListField(child=serializers.DictField()))
    def get_detections(self, capture: SourceImage) -> list[dict[str, Any]]:
        """The boxes, for rows that were read with them (`?with_detections`, and on the own page)."""
        names = list_link(self.context, "api:classification-list")
        return [
            {
                "id": box.pk,
                "details": link(self.context, "api:detection-detail", box.pk),
                "url": box.path or None,
                "width": box.x2 - box.x1,
                "height": box.y2 - box.y1,
                "bbox": box.bbox,
                "occurrence": None,
                "classifications": f"{names}?project_id={capture.project_id}&detection={box.pk}",
                "occurrence_meets_criteria": None,
            }
            for box in getattr(capture, "boxes", ())
        ]


class CaptureDetailSerializer(CaptureSerializer):
    """A capture on its own page, and as it is created.

    Only captures on somebody's web server are created here; those in our own storage come by upload or
    import, because who could name a path of our storage could name the file of another project.
    """

    deployment_id = VisibleField(source="deployment", queryset=Deployment.objects.all())
    path = serializers.CharField(max_length=1024)
    public_base_url = serializers.URLField(max_length=1024)
    uploaded_by = serializers.SerializerMethodField()
    jobs = RecentJobsField()
    collections = serializers.SerializerMethodField()
    event_next_capture_id = NotYetField()
    event_prev_capture_id = NotYetField()
    event_current_capture_index = NotYetField()
    event_total_captures = NotYetField()

    class Meta(CaptureSerializer.Meta):
        fields = [
            *CaptureSerializer.Meta.fields[:-1],
            "deployment_id",
            "public_base_url",
            "uploaded_by",
            "test_image",
            "jobs",
            "collections",
            "event_next_capture_id",
            "event_prev_capture_id",
            "event_current_capture_index",
            "event_total_captures",
            "user_permissions",
        ]
        # Made by hand below: the automatic one would demand a station of every capture.
        validators: list[Any] = []

    def get_uploaded_by(self, capture: SourceImage) -> int | None:
        """The id of the person who uploaded it."""
        upload: SourceImageUpload | None = getattr(capture, "upload", None)
        return upload.user_id if upload else None

    @extend_schema_field(CaptureSetNestedSerializer(many=True))
    def get_collections(self, capture: SourceImage) -> Any:
        """The sets that hold it."""
        return CaptureSetNestedSerializer(sets_of(capture), many=True, context=self.context).data

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """The station is one of the project; a time without a zone is in the station's zone."""
        if self.instance is not None:
            self._refuse_moves(attrs)
        project = attrs["project"] if self.instance is None else self.instance.project
        deployment = attrs.get("deployment") or getattr(self.instance, "deployment", None)
        refuse_strangers(project, deployment_id=deployment)
        path = attrs.get("path", getattr(self.instance, "path", ""))
        same = SourceImage.objects.filter(deployment=deployment, path=path) if deployment else []
        if any(capture != self.instance for capture in same):
            raise serializers.ValidationError(
                {"path": ["The deployment has a capture of this path already."]}
            )
        if "timestamp" in attrs:
            attrs["timestamp"] = in_zone(attrs["timestamp"], deployment.zone if deployment else UTC)
        return attrs

    def _refuse_moves(self, attrs: dict[str, Any]) -> None:
        """What a capture is never changes; people correct what they know about it."""
        for name in ("project", "path", "public_base_url"):
            if name in attrs and attrs[name] != getattr(self.instance, name):
                raise serializers.ValidationError({name: ["This cannot change."]})


class UploadSerializer(ProjectObjectSerializer[SourceImageUpload]):
    """A person's upload of one image, and the capture that it became."""

    noun = "sourceimageupload"
    project_key = "deployment.project_id"
    details = DetailsField("api:upload-detail")
    image = serializers.SerializerMethodField()
    source_image = CaptureNestedSerializer(read_only=True)

    class Meta:
        model = SourceImageUpload
        fields = [
            "id",
            "details",
            "image",
            "deployment",
            "source_image",
            "user",
            "created_at",
            "user_permissions",
        ]

    def get_image(self, upload: SourceImageUpload) -> str | None:
        """Where to see it: the signed link of its capture."""
        return url_of(self.context, upload.source_image) if upload.source_image else None

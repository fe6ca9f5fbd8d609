"""Sessions on the wire."""

from __future__ import annotations

import datetime
from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from ami.base.api.fields import NotYetField
from ami.base.api.serializers import DetailsField, list_link
from ami.main.api.serializers.base import ProjectObjectSerializer
from ami.main.api.serializers.nested import DeploymentNestedSerializer
from ami.main.models import Event


class EventNestedSerializer(serializers.ModelSerializer[Event]):
    """A session by its days, for rows that were read with its station."""

    name = serializers.CharField(source="date_label", read_only=True)
    details = DetailsField("api:event-detail")
    date_label = serializers.CharField(read_only=True)

    class Meta:
        model = Event
        fields = ["id", "name", "details", "date_label"]


class EventSerializer(ProjectObjectSerializer[Event]):
    """A session, with the number of its captures."""

    project_key = "deployment.project_id"
    name = serializers.CharField(source="date_label", read_only=True)
    details = DetailsField("api:event-detail")
    deployment = DeploymentNestedSerializer(read_only=True)
    day = serializers.SerializerMethodField()
    date_label = serializers.CharField(read_only=True)
    duration = serializers.SerializerMethodField()
    duration_label = serializers.CharField(read_only=True)
    captures_count = serializers.IntegerField(read_only=True, default=0)
    detections_count = NotYetField()
    occurrences_count = NotYetField()
    taxa_count = NotYetField()
    captures = serializers.SerializerMethodField()
    example_captures = NotYetField([])

    class Meta:
        model = Event
        fields = [
            "id",
            "name",
            "details",
            "deployment",
            "start",
            "end",
            "day",
            "date_label",
            "duration",
            "duration_label",
            "captures_count",
            "detections_count",
            "occurrences_count",
            "taxa_count",
            "captures",
            "example_captures",
            "created_at",
            "updated_at",
            "user_permissions",
        ]

    def get_day(self, event: Event) -> datetime.date:
        """The day on which it began, where the station stands."""
        return event.day

    def get_duration(self, event: Event) -> str:
        """Seconds, as text."""
        return str(event.duration.total_seconds())

    @extend_schema_field(OpenApiTypes.URI)
    def get_captures(self, event: Event) -> Any:
        """The list of its captures."""
        captures = list_link(self.context, "api:sourceimage-list")
        return f"{captures}?project_id={event.deployment.project_id}&event={event.pk}"

"""Capture sets on the wire."""

from __future__ import annotations

from typing import Any

from django.db import transaction
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from ami.base.api.fields import NotYetField
from ami.base.api.serializers import DetailsField, list_link
from ami.base.errors import InvalidInput
from ami.main.api.serializers.base import ProjectObjectSerializer, VisibleProjectField
from ami.main.api.serializers.nested import RecentJobsField
from ami.main.capture_sets import check_named, write_members
from ami.main.models import SourceImageCollection
from ami.main.models.capture_set import CaptureSetMethod
from ami.main.sampling.parameters import check_parameters


class CaptureSetSerializer(ProjectObjectSerializer[SourceImageCollection]):
    """A named set of captures. The counts that need a look at every capture come with `?with_counts`."""

    details = DetailsField("api:sourceimagecollection-detail")
    project = VisibleProjectField()
    source_images = serializers.SerializerMethodField()
    source_images_count = serializers.IntegerField(read_only=True, default=0)
    source_images_with_detections_count = serializers.IntegerField(read_only=True, default=None)
    source_images_processed_count = serializers.IntegerField(read_only=True, default=None)
    occurrences_count = NotYetField()
    taxa_count = NotYetField()
    jobs = RecentJobsField()

    class Meta:
        model = SourceImageCollection
        fields = [
            "id",
            "details",
            "name",
            "project",
            "method",
            "kwargs",
            "source_images",
            "source_images_count",
            "source_images_with_detections_count",
            "source_images_processed_count",
            "occurrences_count",
            "taxa_count",
            "description",
            "jobs",
            "created_at",
            "updated_at",
            "user_permissions",
        ]

    @extend_schema_field(OpenApiTypes.URI)
    def get_source_images(self, capture_set: SourceImageCollection) -> str:
        """The list of its captures."""
        captures = list_link(self.context, "api:sourceimage-list")
        return f"{captures}?project_id={capture_set.project_id}&collections={capture_set.pk}"

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Parameters fit the method; a set never moves to another project."""
        if self.instance and attrs.get("project", self.instance.project) != self.instance.project:
            raise serializers.ValidationError({"project": ["The project of a capture set cannot change."]})
        if "kwargs" in attrs or "method" in attrs:
            method = str(attrs.get("method") or getattr(self.instance, "method", CaptureSetMethod.FULL))
            parameters = attrs.get("kwargs", getattr(self.instance, "kwargs", {}))
            project = attrs["project"] if self.instance is None else self.instance.project
            try:
                check_named(project.pk, check_parameters(method, parameters))
            except InvalidInput as error:
                raise serializers.ValidationError({"kwargs": [error.message]}) from error
        return attrs

    @transaction.atomic
    def create(self, validated_data: dict[str, Any]) -> SourceImageCollection:
        """A set that holds what its parameters say."""
        capture_set: SourceImageCollection = super().create(validated_data)
        write_members(capture_set)
        return capture_set

    @transaction.atomic
    def update(
        self, instance: SourceImageCollection, validated_data: dict[str, Any]
    ) -> SourceImageCollection:
        """What was chosen one by one since stays, unless method or parameters are named anew."""
        before = instance.method
        capture_set: SourceImageCollection = super().update(instance, validated_data)
        if "kwargs" in validated_data or capture_set.method != before:
            write_members(capture_set)
        return capture_set

"""Worker keys on the wire."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from ami.main.api.serializers.base import VisibleProjectField
from ami.main.models import Project
from ami.ml.models import Pipeline, WorkerKey


class KeySerializer(serializers.ModelSerializer[WorkerKey]):
    """A key without its secret."""

    projects = serializers.SerializerMethodField()
    pipelines = serializers.SerializerMethodField()

    class Meta:
        model = WorkerKey
        fields = [
            "id",
            "service",
            "name",
            "prefix",
            "projects",
            "pipelines",
            "created_at",
            "expires_at",
            "revoked_at",
            "last_used_at",
            "rotated_from",
        ]

    def get_projects(self, key: WorkerKey) -> list[int]:
        """The projects in which it is good."""
        return sorted(project.pk for project in key.projects.all())

    def get_pipelines(self, key: WorkerKey) -> list[str] | None:
        """Slugs of the only pipelines that it may serve; null: all."""
        return None if key.every_pipeline else sorted(pipeline.slug for pipeline in key.pipelines.all())


class NewKeySerializer(KeySerializer):
    """A key that was just made, with its secret: the only time that it is shown."""

    secret = serializers.SerializerMethodField()

    class Meta(KeySerializer.Meta):
        fields = [*KeySerializer.Meta.fields, "secret"]

    def get_secret(self, _key: WorkerKey) -> str:
        """What the worker sends as its token."""
        return str(self.context["secret"])


class MintSerializer(serializers.Serializer[Any]):
    """What a new key is to be good for."""

    name = serializers.CharField(max_length=255, required=False, allow_blank=True, default="")
    projects = VisibleProjectField(
        many=True,
        queryset=Project.objects.all(),
        required=False,
        help_text="Left out: those of the service's projects in which you may make keys.",
    )
    pipelines = serializers.SlugRelatedField(
        many=True,
        slug_field="slug",
        queryset=Pipeline.objects.all(),
        required=False,
        allow_null=True,
        help_text="Slugs; left out: every pipeline of these projects.",
    )
    expires_at = serializers.DateTimeField(required=False, allow_null=True, default=None)


class RotateSerializer(serializers.Serializer[Any]):
    """How long the old key goes on."""

    overlap_seconds = serializers.IntegerField(min_value=0, max_value=30 * 24 * 3600, default=24 * 3600)

"""A job on the wire: the exact keys and order of contract 1.8."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from rest_framework import serializers

from ami.base.api.serializers import DetailsField
from ami.jobs.api.logs import NO_LOGS, job_logs
from ami.jobs.api.nested import (
    NestedCapture,
    NestedCaptureSet,
    NestedDeployment,
    NestedPipeline,
    NestedProject,
)
from ami.jobs.api.progress import render_progress
from ami.jobs.lifecycle.create import create_job
from ami.jobs.lifecycle.update import update_job
from ami.jobs.models import Job
from ami.jobs.models.job import JOB_TYPES
from ami.main.api.access import access_of
from ami.main.api.serializers.base import VisibleProjectField
from ami.main.models import Deployment, SourceImage, SourceImageCollection
from ami.ml.models import Pipeline


class JobTypeSerializer(serializers.Serializer[dict[str, str]]):
    """The type of a job."""

    name = serializers.CharField()
    key = serializers.CharField()


class ParamSerializer(serializers.Serializer[dict[str, Any]]):
    """One figure of a stage; its value is an empty string until it is known."""

    name = serializers.CharField()
    key = serializers.CharField()
    category = serializers.CharField()
    value = serializers.JSONField()


class StageSerializer(serializers.Serializer[dict[str, Any]]):
    """One stage."""

    status = serializers.CharField()
    progress = serializers.FloatField()
    key = serializers.CharField()
    name = serializers.CharField()
    params = ParamSerializer(many=True)


class SummarySerializer(serializers.Serializer[dict[str, Any]]):
    """The job as a whole."""

    status = serializers.CharField()
    progress = serializers.FloatField(help_text="0 to 1: the mean of the stages.")


class ProgressSerializer(serializers.Serializer[dict[str, Any]]):
    """Progress: documentation of what `render_progress` returns."""

    summary = SummarySerializer()
    stages = StageSerializer(many=True)
    errors = serializers.ListField(child=serializers.CharField())  # type: ignore[assignment]
    logs = serializers.ListField(child=serializers.CharField())


class LogsSerializer(serializers.Serializer[dict[str, Any]]):
    """Log lines, newest first."""

    stdout = serializers.ListField(child=serializers.CharField())
    stderr = serializers.ListField(child=serializers.CharField())


class ProgressField(serializers.Field[Any, Any, dict[str, Any], Any]):
    """Renders stage rows."""

    def to_representation(self, value: Job) -> dict[str, Any]:
        """The contract's progress object."""
        return render_progress(value)


class LogsField(serializers.Field[Any, Any, dict[str, list[str]], Any]):
    """Log lines in detail views, nothing in lists."""

    def to_representation(self, value: Job) -> dict[str, list[str]]:
        """The newest lines, as many as the view asked for."""
        limit = self.context.get("logs_limit")
        return NO_LOGS if limit is None else job_logs(value.pk, limit)


class JobListSerializer(serializers.ModelSerializer[Job]):
    """A job in a list."""

    details = DetailsField("api:job-detail")
    delay = serializers.IntegerField(min_value=0, max_value=7 * 24 * 3600)
    limit = serializers.IntegerField(min_value=1, max_value=2**31 - 1, allow_null=True, required=False)
    project = NestedProject(read_only=True)
    project_id = VisibleProjectField(source="project", write_only=True)
    deployment = NestedDeployment(read_only=True)
    deployment_id = serializers.PrimaryKeyRelatedField(
        source="deployment", queryset=Deployment.objects, write_only=True, required=False, allow_null=True
    )
    source_image_collection = NestedCaptureSet(read_only=True)
    source_image_collection_id = serializers.PrimaryKeyRelatedField(
        source="source_image_collection",
        queryset=SourceImageCollection.objects,
        write_only=True,
        required=False,
        allow_null=True,
    )
    source_image_single = NestedCapture(read_only=True)
    source_image_single_id = serializers.PrimaryKeyRelatedField(
        source="source_image_single",
        queryset=SourceImage.objects,
        write_only=True,
        required=False,
        allow_null=True,
    )
    pipeline = NestedPipeline(read_only=True)
    pipeline_id = serializers.PrimaryKeyRelatedField(
        source="pipeline", queryset=Pipeline.objects, write_only=True, required=False, allow_null=True
    )
    duration = serializers.DurationField(read_only=True)
    progress = ProgressField(source="*", read_only=True)
    logs = LogsField(source="*", read_only=True)
    job_type = JobTypeSerializer(read_only=True)
    job_type_key = serializers.ChoiceField(
        choices=list(JOB_TYPES.items()), write_only=True, required=False, default="ml"
    )
    data_export = serializers.SerializerMethodField()
    user_permissions = serializers.SerializerMethodField()

    class Meta:
        model = Job
        fields: ClassVar[list[str]] = [
            "id",
            "details",
            "name",
            "delay",
            "limit",
            "shuffle",
            "project",
            "project_id",
            "deployment",
            "deployment_id",
            "source_image_collection",
            "source_image_collection_id",
            "source_image_single",
            "source_image_single_id",
            "pipeline",
            "pipeline_id",
            "status",
            "created_at",
            "updated_at",
            "started_at",
            "finished_at",
            "duration",
            "progress",
            "logs",
            "job_type",
            "job_type_key",
            "data_export",
            "dispatch_mode",
            "user_permissions",
        ]
        read_only_fields: ClassVar[list[str]] = [
            "status",
            "created_at",
            "updated_at",
            "started_at",
            "finished_at",
            "dispatch_mode",
        ]

    def get_data_export(self, _job: Job) -> dict[str, Any] | None:
        """Exports do not exist yet."""
        return None

    def get_user_permissions(self, job: Job) -> list[str]:
        """What the caller may do to this job."""
        request = self.context.get("request")
        return [] if request is None else job_permissions(access_of(request).permissions(job.project_id), job)

    def create(self, validated_data: dict[str, Any]) -> Job:
        """Through the lifecycle, which checks that everything belongs to the project."""
        return create_job(**validated_data)

    def update(self, instance: Job, validated_data: dict[str, Any]) -> Job:
        """Through the lifecycle, which knows what may still change."""
        return update_job(instance, **validated_data)

    def to_representation(self, instance: Job) -> Mapping[str, Any]:  # type: ignore[override]
        """Durations are rendered by the renderer, as a string of seconds."""
        shown = dict(super().to_representation(instance))
        shown["duration"] = instance.duration
        return shown


class JobSerializer(JobListSerializer):
    """A job by itself: with its result."""

    class Meta(JobListSerializer.Meta):
        fields: ClassVar[list[str]] = [
            *JobListSerializer.Meta.fields[:-1],
            "result",
            JobListSerializer.Meta.fields[-1],
        ]
        read_only_fields: ClassVar[list[str]] = [*JobListSerializer.Meta.read_only_fields, "result"]


class MinimalJobSerializer(serializers.Serializer[dict[str, Any]]):
    """A job as polling workers see it (`ids_only`)."""

    id = serializers.IntegerField()
    pipeline_slug = serializers.CharField(source="pipeline__slug")
    user_permissions = serializers.ListField(child=serializers.CharField(), default=list)


def job_permissions(held: frozenset[str], job: Job) -> list[str]:
    """`update` and `delete`, then what the role allows for jobs of this type: `run`, `tasks`, …"""
    common = [verb for verb in ("update", "delete") if f"{verb}_job" in held]
    suffix = f"_{job.job_type_key}_job"
    return common + sorted(name.removesuffix(suffix) for name in held if name.endswith(suffix))

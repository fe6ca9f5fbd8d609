"""A job on the wire: the exact keys and order of contract 1.8, and after them our own."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, ClassVar

from django.conf import settings
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from ami.base.api.fields import KeyField, parse_key
from ami.base.api.serializers import DetailsField
from ami.jobs.api.export_wire import ExportNestedSerializer
from ami.jobs.api.logs import LogsField
from ami.jobs.api.nested import NestedPipeline
from ami.jobs.api.progress import ProgressField
from ami.jobs.lifecycle.create import create_job
from ami.jobs.lifecycle.update import update_job
from ami.jobs.models import Job
from ami.jobs.models.job import JOB_TYPES, PRIORITY_MAX, PRIORITY_MIN
from ami.main.api.access import Access, access_of
from ami.main.api.filters import visible_projects
from ami.main.api.serializers.base import VisibleField, VisibleProjectField, refuse_strangers
from ami.main.api.serializers.nested import (
    CaptureNestedSerializer,
    CaptureSetNestedSerializer,
    DeploymentNestedSerializer,
    ProjectNestedSerializer,
)
from ami.main.models import Deployment, Project, SourceImage, SourceImageCollection
from ami.ml.api.catalogue import visible_pipelines
from ami.ml.models import Pipeline, ProjectPipelineConfig

DELAY_MAX = 7 * 24 * 3600
LIMIT_MAX = 2**31 - 1
_TYPED_IN = {"base_template": "input.html"}
"""Style of a key in the forms of the browsable API: a list of all captures would never end."""


class VisiblePipelineField(KeyField[Pipeline]):
    """A pipeline by its id; those that only hidden projects use do not exist."""

    def get_queryset(self) -> Any:
        """The pipelines that the caller may see."""
        return visible_pipelines(visible_projects(self.context["request"]), None)


class ProjectKeyField(VisibleProjectField):
    """The project of a new job; what is no key is refused in the words that are used everywhere for it."""

    def to_internal_value(self, data: Any) -> Project:
        """The project behind a key."""
        if parse_key(data) is None:
            raise serializers.ValidationError("A valid integer is required.")
        return super().to_internal_value(data)


@extend_schema_field(OpenApiTypes.STR)
class SecondsField(serializers.Field[Any, Any, str, timedelta]):
    """A span of time as a string of seconds."""

    def to_representation(self, value: timedelta) -> str:
        """Seconds with their fraction."""
        return str(value.total_seconds())


class JobTypeSerializer(serializers.Serializer[dict[str, str]]):
    """The type of a job."""

    name = serializers.CharField()
    key = serializers.CharField()


class JobListSerializer(serializers.ModelSerializer[Job]):
    """A job in a list."""

    details = DetailsField("api:job-detail")
    delay = serializers.IntegerField(min_value=0, max_value=DELAY_MAX)
    limit = serializers.IntegerField(min_value=1, max_value=LIMIT_MAX, allow_null=True, required=False)
    project = ProjectNestedSerializer(read_only=True)
    project_id = ProjectKeyField(source="project", write_only=True, style=_TYPED_IN)
    deployment = DeploymentNestedSerializer(read_only=True)
    deployment_id = VisibleField(source="deployment", queryset=Deployment.objects.all(), style=_TYPED_IN)
    source_image_collection = CaptureSetNestedSerializer(read_only=True)
    source_image_collection_id = VisibleField(
        source="source_image_collection", queryset=SourceImageCollection.objects.all(), style=_TYPED_IN
    )
    source_image_single = CaptureNestedSerializer(read_only=True)
    source_image_single_id = VisibleField(
        source="source_image_single", queryset=SourceImage.objects.all(), style=_TYPED_IN
    )
    pipeline = NestedPipeline(read_only=True)
    pipeline_id = VisiblePipelineField(
        source="pipeline", write_only=True, required=False, allow_null=True, style=_TYPED_IN
    )
    duration = SecondsField(read_only=True)
    progress = ProgressField(source="*", read_only=True)
    logs = LogsField(source="*", read_only=True)
    job_type = JobTypeSerializer(read_only=True)
    job_type_key = serializers.ChoiceField(
        choices=list(JOB_TYPES.items()), write_only=True, required=False, default="ml"
    )
    data_export = ExportNestedSerializer(read_only=True)
    priority = serializers.IntegerField(
        min_value=PRIORITY_MIN,
        max_value=PRIORITY_MAX,
        required=False,
        help_text="Its weight when workers could take tasks of several jobs.",
    )
    user_permissions = serializers.SerializerMethodField()
    waiting_for = serializers.CharField(
        source="waiting", read_only=True, help_text="Why nobody works on it; empty while somebody does."
    )

    notify_by_email = serializers.BooleanField(
        required=False, help_text="Write to its creator when it ends; refused where no mail server is set."
    )

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
            "priority",
            "waiting_for",
            "notify_by_email",
        ]
        read_only_fields: ClassVar[list[str]] = [
            "status",
            "created_at",
            "updated_at",
            "started_at",
            "finished_at",
            "dispatch_mode",
        ]

    def validate_notify_by_email(self, wanted: bool) -> bool:
        """Refused where nothing would come of it."""
        if wanted and not settings.EMAIL_ENABLED:
            raise serializers.ValidationError("This server sends no e-mail.")
        return wanted

    def get_user_permissions(self, job: Job) -> list[str]:
        """What the caller may do to this job."""
        return job_permissions(access_of(self.context["request"]), job)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """What the body names belongs to the job's project; errors carry the name that it has in the body."""
        job = self.instance
        changed = {name: value for name, value in attrs.items() if job is None or getattr(job, name) != value}
        project = attrs["project"] if job is None else job.project
        refuse_strangers(
            project,
            deployment_id=changed.get("deployment"),
            source_image_collection_id=changed.get("source_image_collection"),
            source_image_single_id=changed.get("source_image_single"),
        )
        if pipeline := changed.get("pipeline"):
            enabled = ProjectPipelineConfig.objects.filter(project=project, pipeline=pipeline, enabled=True)
            if not enabled.exists():
                raise serializers.ValidationError(
                    {"pipeline_id": [f"The pipeline {pipeline.pk} is not enabled in this project."]}
                )
        _check_type(
            str(attrs.get("job_type_key") or getattr(job, "job_type_key", "")),
            attrs["pipeline"] if "pipeline" in attrs else getattr(job, "pipeline", None),
        )
        return attrs

    def create(self, validated_data: dict[str, Any]) -> Job:
        """Through the lifecycle."""
        return create_job(**validated_data)

    def update(self, instance: Job, validated_data: dict[str, Any]) -> Job:
        """Through the lifecycle."""
        return update_job(instance, **validated_data)


class JobSerializer(JobListSerializer):
    """A job by itself: with its result."""

    class Meta(JobListSerializer.Meta):
        fields: ClassVar[list[str]] = [
            *JobListSerializer.Meta.fields[:-4],
            "result",
            *JobListSerializer.Meta.fields[-4:],
        ]
        read_only_fields: ClassVar[list[str]] = [*JobListSerializer.Meta.read_only_fields, "result"]


class PolledJobSerializer(serializers.Serializer[dict[str, Any]]):
    """A job as polling workers see it (`ids_only`)."""

    id = serializers.IntegerField()
    pipeline_slug = serializers.CharField(source="pipeline__slug")
    user_permissions = serializers.ListField(child=serializers.CharField(), default=list)


def job_permissions(access: Access, job: Job) -> list[str]:
    """`update` and `delete`, then what the role allows for jobs of this type: `run`, `tasks`, …"""
    common = [verb for verb in ("update", "delete") if access.may(f"{verb}_job", job.project_id)]
    suffix = f"_{job.job_type_key}_job"
    held = access.permissions(job.project_id)
    return common + sorted(name.removesuffix(suffix) for name in held if name.endswith(suffix))


def _check_type(job_type_key: str, pipeline: Pipeline | None) -> None:
    if pipeline is not None and job_type_key != "ml":
        raise serializers.ValidationError(
            {"pipeline_id": [f"Jobs of the type {job_type_key} run no pipeline; leave it out."]}
        )

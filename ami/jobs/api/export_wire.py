"""Exports on the wire: by themselves, and as part of their job (contract 1.8)."""

from __future__ import annotations

from typing import Any, ClassVar

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from ami.base.api.serializers import DetailsField, link
from ami.base.errors import InvalidInput
from ami.jobs.exports.scope import check_filters
from ami.jobs.models import DataExport, ExportFormat, Job
from ami.jobs.progress import overall
from ami.main.api.access import Access, access_of
from ami.main.api.serializers.base import ProjectObjectSerializer, VisibleProjectField
from ami.main.media import signed_query
from ami.users.callers import Machine

READ_PERMISSION = "view_private_data"


def may_read(access: Access, project_id: int) -> bool:
    """Whether somebody may see the exports of a project: people with a role in it; no machines."""
    return not isinstance(access.user, Machine) and access.may(READ_PERMISSION, project_id)


class _WithFile(serializers.ModelSerializer[DataExport]):
    user = serializers.IntegerField(source="user_id", read_only=True, allow_null=True)
    file_url = serializers.SerializerMethodField()

    @extend_schema_field({"type": "string", "format": "uri", "nullable": True})
    def get_file_url(self, export: DataExport) -> str | None:
        """Where to download it: a link that is good for whoever holds it, for a day; null until there is one.

        Who may not see the exports of the project gets none.
        """
        request = self.context.get("request")
        if not export.file or request is None or not may_read(access_of(request), export.project_id):
            return None
        address = link(self.context, "api:dataexport-download", export.pk)
        return f"{address}?{signed_query(export.signed_subject)}"


class ExportNestedSerializer(_WithFile):
    """An export as its job shows it."""

    project = serializers.IntegerField(source="project_id", read_only=True)
    filters = serializers.DictField(child=serializers.IntegerField(), read_only=True)

    class Meta:
        model = DataExport
        fields: ClassVar[list[str]] = ["id", "user", "project", "format", "filters", "file_url"]


class FiltersSerializer(serializers.Serializer[dict[str, int]]):
    """What is exported; the whole project, if it says nothing. Anything else in it is refused."""

    collection_id = serializers.IntegerField(
        required=False, help_text="Captures of this set, and what any algorithm found on them."
    )
    job_id = serializers.IntegerField(
        required=False,
        help_text="Captures of this job, and what the algorithms of its pipeline found on them.",
    )

    def to_internal_value(self, data: Any) -> dict[str, int]:
        """What is not understood is refused: left out, it would export more than was meant."""
        try:
            return check_filters(data)
        except InvalidInput as error:
            raise serializers.ValidationError([error.message]) from error

    def to_representation(self, instance: Any) -> dict[str, int]:
        """As it was asked for."""
        return dict(instance)


class ExportJobSerializer(serializers.ModelSerializer[Job]):
    """How far the job of an export is; its stages must have been read with it."""

    details = DetailsField("api:job-detail")
    progress = serializers.SerializerMethodField()

    class Meta:
        model = Job
        fields: ClassVar[list[str]] = ["id", "details", "status", "progress"]

    @extend_schema_field(OpenApiTypes.FLOAT)
    def get_progress(self, job: Job) -> float:
        """0 to 1."""
        return overall([stage.progress for stage in job.stages.all()])


class ExportSerializer(ProjectObjectSerializer[DataExport], _WithFile):
    """An export by itself."""

    details = DetailsField("api:dataexport-detail")
    project = VisibleProjectField()
    format = serializers.ChoiceField(choices=ExportFormat.choices)
    filters = FiltersSerializer(required=False, default=dict)
    job = ExportJobSerializer(read_only=True)

    class Meta:
        model = DataExport
        fields: ClassVar[list[str]] = [
            "id",
            "details",
            "user",
            "project",
            "format",
            "filters",
            "file_url",
            "rows_written",
            "size",
            "job",
            "created_at",
            "updated_at",
            "user_permissions",
        ]
        read_only_fields: ClassVar[list[str]] = ["rows_written", "size"]

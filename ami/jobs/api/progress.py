"""A job's progress in the contract's shape, rendered from its stage rows."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from ami.jobs.models import Job
from ami.jobs.progress import overall

_PARAM_KEYS = ("name", "key", "category", "value")
"""In the order of the wire; the database does not keep the order of keys."""


class ParamSerializer(serializers.Serializer[dict[str, Any]]):
    """One figure of a stage; its value is an empty string until it is known."""

    name = serializers.CharField()
    key = serializers.CharField()
    category = serializers.CharField()
    value = serializers.JSONField()


class StageSerializer(serializers.Serializer[dict[str, Any]]):
    """One stage."""

    status = serializers.CharField()
    progress = serializers.FloatField(help_text="0 to 1.")
    key = serializers.CharField()
    name = serializers.CharField()
    params = ParamSerializer(many=True)


class SummarySerializer(serializers.Serializer[dict[str, Any]]):
    """The job as a whole."""

    status = serializers.CharField()
    progress = serializers.FloatField(help_text="0 to 1: the mean of the stages.")


class ProgressSerializer(serializers.Serializer[dict[str, Any]]):
    """What `ProgressField` renders, for the schema page."""

    summary = SummarySerializer()
    stages = StageSerializer(many=True)
    errors = serializers.ListField(child=serializers.CharField())  # type: ignore[assignment]
    logs = serializers.ListField(child=serializers.CharField())


@extend_schema_field(ProgressSerializer)
class ProgressField(serializers.Field[Any, Any, dict[str, Any], Job]):
    """Summary, stages, and what health checks noticed. Reads `job.stages` (prefetch it in lists)."""

    def to_representation(self, value: Job) -> dict[str, Any]:
        """The contract's progress object."""
        stages = sorted(value.stages.all(), key=lambda stage: stage.position)
        return {
            "summary": {"status": value.status, "progress": overall([stage.progress for stage in stages])},
            "stages": [
                {
                    "status": stage.status,
                    "progress": stage.progress,
                    "key": stage.key,
                    "name": stage.name,
                    "params": [{key: param[key] for key in _PARAM_KEYS} for param in stage.params],
                }
                for stage in stages
            ],
            "errors": value.diagnostics,
            "logs": [],
        }

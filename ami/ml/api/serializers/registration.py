"""What a worker sends to announce its pipelines, and what it hears."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema_field
from pydantic import Field, TypeAdapter
from pydantic import ValidationError as SchemaError
from rest_framework import serializers

from ami.base import clock
from ami.ml.api.wire_errors import as_wire
from ami.ml.registration import Registration
from ami.ml.schemas import PipelineConfigResponse
from ami.ml.schemas.base import MAX_PIPELINES

_PIPELINES: TypeAdapter[list[PipelineConfigResponse]] = TypeAdapter(
    Annotated[list[PipelineConfigResponse], Field(max_length=MAX_PIPELINES)]
)


@extend_schema_field({"type": "array", "items": {"type": "object"}})
class PipelinesField(serializers.Field[list[PipelineConfigResponse], Any, Any, Any]):
    """Pipelines as the wire schema has them."""

    def to_internal_value(self, data: Any) -> list[PipelineConfigResponse]:
        """The checked pipelines."""
        try:
            return _PIPELINES.validate_python(data)
        except SchemaError as error:
            raise serializers.ValidationError(as_wire(error)) from error


class RegistrationSerializer(serializers.Serializer[Any]):
    """A worker's announcement."""

    processing_service_name = serializers.CharField(max_length=255)
    pipelines = PipelinesField(default=list)


class RegisteredSerializer(serializers.Serializer[Any]):
    """What a registration changed. The submitted pipelines come back without their categories."""

    timestamp = serializers.DateTimeField()
    success = serializers.BooleanField()
    error = serializers.CharField(allow_null=True)
    pipelines = extend_schema_field(OpenApiTypes.ANY)(serializers.JSONField)()
    pipelines_created = serializers.ListField(child=serializers.CharField())
    pipelines_updated = serializers.ListField(child=serializers.CharField())
    algorithms_created = serializers.ListField(child=serializers.CharField())
    processing_service_id = serializers.IntegerField()


def registered(done: Registration, pipelines: Sequence[PipelineConfigResponse]) -> dict[str, Any]:
    """The answer to a registration of these pipelines."""
    return {
        "timestamp": clock.now(),
        "success": True,
        "error": None,
        "pipelines": [_echo(pipeline) for pipeline in pipelines],
        "pipelines_created": done.pipelines_created,
        "pipelines_updated": done.pipelines_updated,
        "algorithms_created": done.algorithms_created,
        "processing_service_id": done.service.pk,
    }


def _echo(pipeline: PipelineConfigResponse) -> dict[str, Any]:
    """The submitted pipeline without its categories, which can be megabytes and are known to the sender."""
    shown = pipeline.model_dump(exclude={"algorithms": {"__all__": {"category_map"}}})
    for algorithm in shown["algorithms"]:
        algorithm["category_map"] = None
    return shown

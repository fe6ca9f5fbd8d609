"""Algorithms, pipelines and processing services on the wire."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from ami.base.api.permissions import is_active_staff
from ami.base.api.serializers import DetailsField, ObjectSerializer, link
from ami.base.outgoing import AddressRefused, check_url
from ami.ml.models import (
    Algorithm,
    AlgorithmCategoryMap,
    Pipeline,
    ProcessingService,
    ProjectPipelineConfig,
)

_NO_STAGES: list[dict[str, Any]] = [
    {
        "key": "default",
        "name": "Default Stage",
        "params": [{"name": "Placeholder", "key": "default", "category": "placeholder", "value": 0}],
    }
]


class CatalogueSerializer(ObjectSerializer[Any]):
    """The base for what belongs to no project alone: the staff keeps it."""

    def get_user_permissions(self, obj: Any) -> list[str]:
        """Everything for the staff, nothing for others."""
        request = self.context.get("request")
        return ["update", "delete"] if request and is_active_staff(request.user) else []


class AlgorithmSerializer(CatalogueSerializer):
    """One version of a model. Its categories are a page of their own: they can be very many."""

    details = DetailsField("api:algorithm-detail")
    category_map = serializers.SerializerMethodField()
    category_count = serializers.IntegerField(read_only=True, default=None)

    class Meta:
        model = Algorithm
        fields = [
            "id",
            "details",
            "name",
            "key",
            "description",
            "uri",
            "version",
            "version_name",
            "task_type",
            "category_map",
            "category_count",
            "created_at",
            "updated_at",
            "user_permissions",
        ]

    def get_category_map(self, algorithm: Algorithm) -> dict[str, Any] | None:
        """Where to find its categories."""
        key = algorithm.category_map_id
        return (
            None if key is None else {"id": key, "details": link(self.context, "api:categorymap-detail", key)}
        )


class CategoryMapSerializer(CatalogueSerializer):
    """The categories of classifiers, in the order of their scores."""

    algorithms = serializers.SerializerMethodField()

    class Meta:
        model = AlgorithmCategoryMap
        fields = [
            "id",
            "labels",
            "data",
            "algorithms",
            "version",
            "uri",
            "created_at",
            "updated_at",
            "user_permissions",
        ]

    def get_algorithms(self, category_map: AlgorithmCategoryMap) -> list[str]:
        """The pages of the algorithms that use it."""
        return [
            link(self.context, "api:algorithm-detail", algorithm.pk)
            for algorithm in category_map.algorithms.all()
        ]


class PipelineConfigSerializer(serializers.ModelSerializer[ProjectPipelineConfig]):
    """That a project uses a pipeline."""

    project = DetailsField("api:project-detail", key="project_id")
    pipeline = DetailsField("api:pipeline-detail", key="pipeline_id")

    class Meta:
        model = ProjectPipelineConfig
        fields = ["id", "project", "pipeline", "enabled", "config"]


class ServiceNestedSerializer(serializers.ModelSerializer[ProcessingService]):
    """A service beside its pipeline."""

    details = DetailsField("api:processingservice-detail")
    is_async = serializers.BooleanField(read_only=True)
    last_seen_live = serializers.SerializerMethodField()

    class Meta:
        model = ProcessingService
        fields = [
            "name",
            "id",
            "details",
            "endpoint_url",
            "is_async",
            "last_seen",
            "last_seen_live",
            "created_at",
            "updated_at",
        ]

    def get_last_seen_live(self, service: ProcessingService) -> bool | None:
        """Whether it is alive; a pull service that has been silent for long is not, whatever the row says."""
        return service.is_online if service.is_async and service.last_seen_live else service.last_seen_live


class PipelineNestedSerializer(CatalogueSerializer):
    """A pipeline beside its service."""

    details = DetailsField("api:pipeline-detail")

    class Meta:
        model = Pipeline
        fields = [
            "id",
            "details",
            "name",
            "slug",
            "description",
            "version",
            "version_name",
            "created_at",
            "updated_at",
            "user_permissions",
        ]


class PipelineSerializer(CatalogueSerializer):
    """A pipeline with its algorithms, and with the services that run it as far as the caller may see them."""

    details = DetailsField("api:pipeline-detail")
    algorithms = AlgorithmSerializer(many=True, read_only=True)
    stages = serializers.SerializerMethodField()
    processing_services = ServiceNestedSerializer(many=True, read_only=True)
    project_pipeline_configs = PipelineConfigSerializer(many=True, read_only=True)

    class Meta:
        model = Pipeline
        fields = [
            "id",
            "details",
            "name",
            "slug",
            "description",
            "algorithms",
            "stages",
            "processing_services",
            "project_pipeline_configs",
            "created_at",
            "updated_at",
            "user_permissions",
        ]

    def get_stages(self, _pipeline: Pipeline) -> list[dict[str, Any]]:
        """What clients expect where a pipeline has no stages of its own; they are not stored."""
        return _NO_STAGES


def _can_be_called(url: str) -> None:
    try:
        check_url(url)
    except AddressRefused as error:
        raise serializers.ValidationError(error.message) from error


class ServiceSerializer(CatalogueSerializer):
    """A processing service. With an address it is pushed to, without one its workers pull."""

    details = DetailsField("api:processingservice-detail")
    projects = serializers.SerializerMethodField()
    endpoint_url = serializers.CharField(
        max_length=1024,
        required=False,
        allow_null=True,
        validators=[_can_be_called],
    )
    is_async = serializers.BooleanField(read_only=True)
    pipelines = PipelineNestedSerializer(many=True, read_only=True)
    last_seen_live = serializers.SerializerMethodField()

    class Meta:
        model = ProcessingService
        fields = [
            "id",
            "details",
            "name",
            "description",
            "projects",
            "endpoint_url",
            "is_async",
            "pipelines",
            "created_at",
            "updated_at",
            "last_seen",
            "last_seen_live",
            "user_permissions",
        ]
        read_only_fields = ["last_seen"]

    def get_projects(self, service: ProcessingService) -> list[int]:
        """The projects that it serves, as far as the caller may see them."""
        return [project.pk for project in service.projects.all()]

    def get_last_seen_live(self, service: ProcessingService) -> bool | None:
        """Whether it is alive; a pull service that has been silent for long is not, whatever the row says."""
        return service.is_online if service.is_async and service.last_seen_live else service.last_seen_live

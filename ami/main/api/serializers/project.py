"""Projects and their members on the wire."""

from __future__ import annotations

from typing import Any

from django.db import transaction
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from ami.base.api.fields import NotYetField
from ami.base.api.serializers import DetailsField
from ami.main.api.access import access_of
from ami.main.api.serializers.base import ProjectObjectSerializer
from ami.main.models import Deployment, Project, ProjectMembership
from ami.main.models.project import FEATURE_FLAGS
from ami.main.projects import create_project
from ami.users.api.serializers import RoleSerializer, UserNestedSerializer
from ami.users.models import User
from ami.users.roles import ROLES, Role


class ProjectListSerializer(ProjectObjectSerializer[Project]):
    """A project in a list."""

    details = DetailsField("api:project-detail")
    deployments_count = serializers.SerializerMethodField()
    project_key = "pk"

    class Meta:
        model = Project
        fields: list[str] = [
            "id",
            "name",
            "description",
            "details",
            "deployments_count",
            "created_at",
            "updated_at",
            "image",
            "draft",
            "user_permissions",
        ]

    def get_deployments_count(self, project: Project) -> int:
        """As the database counted it for a list; on its own page the stations are there anyway."""
        counted: int | None = getattr(project, "deployments_count", None)
        return len(project.deployments.all()) if counted is None else counted


class ProjectDeploymentSerializer(serializers.ModelSerializer[Deployment]):
    """A station on the page of its project."""

    details = DetailsField("api:deployment-detail")
    events_count = NotYetField(0)

    class Meta:
        model = Deployment
        fields = ["id", "name", "image", "details", "latitude", "longitude", "events_count"]


@extend_schema_field({"type": "object", "additionalProperties": {"type": "boolean"}})
class FeatureFlagsField(serializers.Field[dict[str, bool], Any, dict[str, bool], Any]):
    """The flags of a project; a write changes those that it names."""

    def to_internal_value(self, data: Any) -> dict[str, bool]:
        """Known flags with a yes or no each."""
        if not isinstance(data, dict) or not all(isinstance(value, bool) for value in data.values()):
            raise serializers.ValidationError("Feature flags are an object of true and false.")
        if strangers := sorted(set(data) - set(FEATURE_FLAGS)):
            raise serializers.ValidationError(f"There is no feature flag {strangers[0]!r}.")
        return dict(data)

    def to_representation(self, value: dict[str, bool]) -> dict[str, bool]:
        """Every flag."""
        return value


@extend_schema_field({"type": "object"})
class PipelineOfProjectField(serializers.Field[Any, Any, dict[str, Any], Any]):
    """The pipeline that a project uses by default. Pipelines are defined in a layer above this one."""

    def to_representation(self, value: Any) -> dict[str, Any]:
        """Its names."""
        return {"id": value.pk, "name": value.name, "slug": value.slug}


class ProjectSettingsSerializer(serializers.ModelSerializer[Project]):
    """What a project decides."""

    default_processing_pipeline = PipelineOfProjectField(read_only=True)
    default_processing_pipeline_id = serializers.IntegerField(
        write_only=True, required=False, allow_null=True, min_value=1
    )
    default_filters_score_threshold = serializers.FloatField(
        source="score_threshold", required=False, min_value=0, max_value=1
    )
    default_filters_include_taxa = NotYetField([])
    default_filters_exclude_taxa = NotYetField([])

    class Meta:
        model = Project
        fields = [
            "default_processing_pipeline",
            "default_processing_pipeline_id",
            "session_time_gap_seconds",
            "default_filters_score_threshold",
            "default_filters_include_taxa",
            "default_filters_exclude_taxa",
        ]

    def validate_default_processing_pipeline_id(self, value: int | None) -> int | None:
        """Only a pipeline that the project uses."""
        if value is None:
            return None
        project: Project | None = self.parent.instance if self.parent else None
        pipelines: Any = Project._meta.get_field("default_processing_pipeline").related_model
        if project is None or not pipelines.objects.filter(projects=project, pk=value).exists():
            raise serializers.ValidationError("The project has no such pipeline.")
        return value


class ProjectSerializer(ProjectListSerializer):
    """A project on its own page."""

    deployments = ProjectDeploymentSerializer(many=True, read_only=True)
    summary_data = NotYetField([])
    owner = UserNestedSerializer(read_only=True)
    feature_flags = FeatureFlagsField(required=False)
    settings = ProjectSettingsSerializer(source="*", required=False)
    is_member = serializers.SerializerMethodField()

    class Meta(ProjectListSerializer.Meta):
        fields = [
            *ProjectListSerializer.Meta.fields[:-1],
            "deployments",
            "summary_data",
            "owner",
            "feature_flags",
            "settings",
            "is_member",
            "user_permissions",
        ]

    def get_is_member(self, project: Project) -> bool:
        """Whether the caller has a role in it."""
        return access_of(self.context["request"]).is_member(project.pk)

    def create(self, validated_data: dict[str, Any]) -> Project:
        """A project with its defaults, owned by the caller."""
        flags = validated_data.pop("feature_flags", {})
        owner: User = self.context["request"].user
        return create_project(owner=owner, flags=flags, **validated_data)

    def update(self, instance: Project, validated_data: dict[str, Any]) -> Project:
        """Change what the body names; flags that it does not name keep their value."""
        flags = validated_data.pop("feature_flags", {})
        instance.flags = {**instance.flags, **flags}
        return super().update(instance, validated_data)


class MemberUserSerializer(UserNestedSerializer):
    """A member as the other members see them."""

    class Meta(UserNestedSerializer.Meta):
        fields = ["id", "name", "image", "details", "email"]


class MemberSerializer(ProjectObjectSerializer[ProjectMembership]):
    """A person's role in a project."""

    noun = "userprojectmembership"
    user = MemberUserSerializer(read_only=True)
    email = serializers.EmailField(write_only=True, required=False)
    role = serializers.SerializerMethodField()
    role_id = serializers.ChoiceField(choices=Role.choices, source="role", write_only=True)

    class Meta:
        model = ProjectMembership
        fields = [
            "id",
            "user",
            "email",
            "role",
            "role_id",
            "created_at",
            "updated_at",
            "user_permissions",
        ]

    @extend_schema_field(RoleSerializer)
    def get_role(self, membership: ProjectMembership) -> dict[str, Any]:
        """The role with its description."""
        return dict(RoleSerializer(ROLES[membership.role]).data)

    def validate_email(self, email: str) -> User:
        """The account with this address."""
        user = User.objects.filter(email__iexact=email).first()
        if user is None:
            raise serializers.ValidationError("There is no account with this e-mail.")
        return user

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """A new member needs an address; nobody has the same role twice."""
        user: User | None = attrs.pop("email", None)
        if self.instance is None and user is None:
            raise serializers.ValidationError({"email": ["This field is required."]})
        member = user if self.instance is None else self.instance.user
        project_id = self.context["view"].active_project.pk
        same = ProjectMembership.objects.filter(project_id=project_id, user=member, role=attrs.get("role"))
        if any(membership != self.instance for membership in same):
            raise serializers.ValidationError({"role_id": ["This person has the role already."]})
        return attrs if self.instance else {**attrs, "user": user}

    @transaction.atomic
    def create(self, validated_data: dict[str, Any]) -> ProjectMembership:
        """Give the role."""
        return ProjectMembership.objects.create(**validated_data)

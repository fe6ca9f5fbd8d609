"""Data sources on the wire. Keys are written, and never shown again."""

from __future__ import annotations

from typing import Any

from django.template.defaultfilters import filesizeformat
from rest_framework import serializers

from ami.base.api.serializers import DetailsField
from ami.base.errors import AmiError
from ami.main.api.serializers.base import ProjectObjectSerializer, VisibleProjectField
from ami.main.models import StorageSource
from ami.main.models.storage import StorageKind
from ami.main.storage.folders import allowed_folder
from ami.main.storage.secrets import seal
from ami.main.storage.sources import check_bucket, check_endpoint

NOUN = "s3storagesource"
_KEYS = ("access_key", "secret_key")
_PLACE = ("bucket", "endpoint_url")
_LONGEST_KEY = 1_024


class StorageNestedSerializer(ProjectObjectSerializer[StorageSource]):
    """A data source by name."""

    noun = NOUN
    details = DetailsField("api:storagesource-detail")
    uri = serializers.SerializerMethodField()

    class Meta:
        model = StorageSource
        fields = ["id", "name", "details", "uri", "user_permissions"]

    def get_uri(self, source: StorageSource) -> str:
        """Where it is."""
        return source.uri()


class StorageSerializer(ProjectObjectSerializer[StorageSource]):
    """A bucket, or a folder of the server (`kind`)."""

    noun = NOUN
    details = DetailsField("api:storagesource-detail")
    project = VisibleProjectField()
    bucket = serializers.CharField(max_length=255, required=False, allow_blank=True)
    access_key = serializers.CharField(
        max_length=_LONGEST_KEY, required=False, allow_blank=True, write_only=True
    )
    secret_key = serializers.CharField(
        max_length=_LONGEST_KEY, required=False, allow_blank=True, write_only=True, trim_whitespace=False
    )
    endpoint_url = serializers.CharField(
        max_length=1024, required=False, allow_blank=True, help_text="Empty: Amazon's."
    )
    public_base_url = serializers.URLField(max_length=1024, required=False, allow_blank=True)
    deployments_count = serializers.IntegerField(read_only=True, default=0)
    total_files_indexed = serializers.IntegerField(read_only=True, default=0)
    total_size_indexed = serializers.IntegerField(read_only=True, default=0)
    total_size_indexed_display = serializers.SerializerMethodField()
    total_captures_indexed = serializers.IntegerField(read_only=True, default=0)
    last_checked = serializers.DateTimeField(read_only=True, default=None)
    has_keys = serializers.BooleanField(read_only=True)

    class Meta:
        model = StorageSource
        fields = [
            "id",
            "details",
            "name",
            "bucket",
            "prefix",
            "access_key",
            "secret_key",
            "endpoint_url",
            "public_base_url",
            "project",
            "deployments_count",
            "total_files_indexed",
            "total_size_indexed",
            "total_size_indexed_display",
            "total_captures_indexed",
            "last_checked",
            "created_at",
            "updated_at",
            "user_permissions",
            "kind",
            "region",
            "folder",
            "has_keys",
        ]

    def get_total_size_indexed_display(self, source: Any) -> str:
        """The size for people."""
        return filesizeformat(getattr(source, "total_size_indexed", 0))

    def validate_bucket(self, name: str) -> str:
        """A name that a bucket may have."""
        return _checked(check_bucket, name) if name else ""

    def validate_endpoint_url(self, url: str) -> str:
        """An address that this server may call, in the spelling that is signed."""
        return _checked(check_endpoint, url)

    def validate_region(self, name: str) -> str:
        """Letters, digits and hyphens: it becomes part of a host's name."""
        if name and not all(part.isalnum() and part.isascii() for part in name.split("-")):
            raise serializers.ValidationError("This is not the name of a region, such as eu-central-1.")
        return name

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """The place is named, keys come in pairs, and what names a place is not changed under its keys."""
        current: Any = self.instance
        if current and attrs.get("project", current.project) != current.project:
            raise serializers.ValidationError({"project": ["The project of a storage cannot change."]})
        kind = attrs.get("kind", getattr(current, "kind", StorageKind.S3))
        if kind == StorageKind.FOLDER:
            self._check_folder(attrs)
        elif not attrs.get("bucket", getattr(current, "bucket", "")):
            raise serializers.ValidationError({"bucket": ["This field is required."]})
        self._check_keys(attrs)
        return attrs

    def _check_folder(self, attrs: dict[str, Any]) -> None:
        """Which folder a project may read is for the staff to say: it may hold what is another project's."""
        current: Any = self.instance
        folder = attrs.get("folder", getattr(current, "folder", ""))
        changed = (
            current is None
            or current.kind != StorageKind.FOLDER
            or folder != current.folder
            or "prefix" in attrs
        )
        if changed and not self.context["request"].user.is_staff:
            raise serializers.ValidationError(
                {"folder": ["Only the staff of this server chooses folders; ask an administrator."]}
            )
        if changed:
            try:
                allowed_folder(folder)
            except AmiError as error:
                raise serializers.ValidationError({"folder": [error.message]}) from error

    def _check_keys(self, attrs: dict[str, Any]) -> None:
        current: Any = self.instance
        given = [name for name in _KEYS if name in attrs]
        if len(given) == 1 or len({bool(attrs[name]) for name in given}) == 2:
            raise serializers.ValidationError({given[0]: ["Give both keys, or none."]})
        moved = current and any(name in attrs and attrs[name] != getattr(current, name) for name in _PLACE)
        if moved and current.has_keys and not given:
            raise serializers.ValidationError(
                {"access_key": ["The keys were given for another place; give them again."]}
            )
        for name in given:
            attrs[name] = seal(attrs[name])


def _checked(check: Any, value: str) -> str:
    try:
        return str(check(value))
    except AmiError as error:
        raise serializers.ValidationError(error.message) from error

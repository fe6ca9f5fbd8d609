"""Data sources: buckets and folders that stations deliver to. Members of a project see its own."""

from __future__ import annotations

from typing import Any

from django.db.models import Max, OuterRef, QuerySet, Subquery, Sum
from django.db.models.functions import Coalesce
from drf_spectacular.utils import extend_schema, inline_serializer
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import BaseSerializer
from rest_framework.viewsets import ModelViewSet

from ami.base.errors import AmiError
from ami.main.api.serializers.storage import NOUN, StorageSerializer
from ami.main.api.viewsets import ProjectScopedViewSet
from ami.main.models import Deployment, SourceImage, StorageSource
from ami.main.related import count_of
from ami.main.storage.sources import check_pattern, try_out

_SEEN_BY = "view_private_data"

_TryOut = inline_serializer(
    "StorageTryOut",
    {
        "subdir": serializers.CharField(required=False, allow_null=True),
        "regex_filter": serializers.CharField(required=False, allow_null=True),
    },
)
_TriedOut = inline_serializer(
    "StorageTriedOut",
    {
        "connection_successful": serializers.BooleanField(),
        "prefix_exists": serializers.BooleanField(),
        "latency": serializers.FloatField(),
        "total_time": serializers.FloatField(),
        "error_code": serializers.CharField(allow_null=True),
        "error_message": serializers.CharField(allow_null=True),
        "files_checked": serializers.IntegerField(),
        "first_file_found": serializers.CharField(allow_null=True),
        "full_uri": serializers.CharField(),
    },
)


class _TryOutSerializer(serializers.Serializer[Any]):
    """What a try-out looks at."""

    subdir = serializers.CharField(required=False, allow_null=True, allow_blank=True, max_length=1024)
    regex_filter = serializers.CharField(required=False, allow_null=True, allow_blank=True, max_length=255)


class StorageViewSet(ProjectScopedViewSet[StorageSource], ModelViewSet[StorageSource]):
    """Data sources. Managers make them; whoever has a part in the project sees them, without their keys."""

    queryset = StorageSource.objects.select_related("project")
    serializer_class = StorageSerializer
    noun = NOUN
    verbs = {"test": "update"}
    ordering_fields = ["name", "created_at", "updated_at"]
    search_fields = ["name", "bucket"]

    def get_queryset(self) -> QuerySet[StorageSource]:
        """Those of the caller's projects, with what their stations found in them."""
        sources = super().get_queryset()
        if not self.request.user.is_superuser:
            mine = [key for key in self.access.projects() if self.access.may(_SEEN_BY, key)]
            sources = sources.filter(project__in=mine)
        return self._counted(sources)

    def perform_create(self, serializer: BaseSerializer[StorageSource]) -> None:
        """Answer as if it had been read."""
        super().perform_create(serializer)
        self._read_again(serializer)

    def perform_update(self, serializer: BaseSerializer[StorageSource]) -> None:
        """Answer with the counts."""
        super().perform_update(serializer)
        self._read_again(serializer)

    @extend_schema(request=_TryOut, responses=_TriedOut)
    @action(detail=True, methods=["post"])
    def test(self, request: Request, pk: str | None = None) -> Response:
        """List the first few files; what is wrong with the place, if anything, is said in a sentence."""
        source: StorageSource = self.get_object()
        asked = _TryOutSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        subdir = asked.validated_data.get("subdir") or ""
        pattern = check_pattern(asked.validated_data.get("regex_filter") or "")
        try:
            tried = try_out(source, subdir, pattern)
        except AmiError as error:
            return Response({"detail": error.message, "code": error.code}, status=400)
        return Response(
            {
                "connection_successful": True,
                "prefix_exists": tried.prefix_exists,
                "latency": round(tried.latency, 3),
                "total_time": round(tried.total_time, 3),
                "error_code": None,
                "error_message": None,
                "files_checked": tried.checked,
                "first_file_found": tried.first_file,
                "full_uri": source.uri(subdir),
            }
        )

    def _counted(self, sources: QuerySet[StorageSource]) -> QuerySet[StorageSource]:
        stations = Deployment.objects.filter(data_source=OuterRef("pk")).order_by().values("data_source")
        return sources.annotate(
            deployments_count=count_of(Deployment.objects.all(), "data_source"),
            total_captures_indexed=count_of(SourceImage.objects.all(), "data_source"),
            total_files_indexed=_sum(stations, "data_source_total_files"),
            total_size_indexed=_sum(stations, "data_source_total_size"),
            last_checked=Subquery(stations.annotate(at=Max("data_source_last_checked")).values("at")),
        )

    def _read_again(self, serializer: BaseSerializer[StorageSource]) -> None:
        stored: Any = serializer.instance
        sources = self._counted(StorageSource.objects.select_related("project"))
        serializer.instance = sources.get(pk=stored.pk)


def _sum(stations: QuerySet[Any, Any], column: str) -> Coalesce:
    return Coalesce(Subquery(stations.annotate(total=Sum(column)).values("total")), 0)

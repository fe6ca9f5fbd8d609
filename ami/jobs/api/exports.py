"""The endpoints of exports: make one, watch it, download it, delete it."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet
from django.http import FileResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema, extend_schema_view
from rest_framework import mixins
from rest_framework.decorators import action
from rest_framework.exceptions import NotFound, ValidationError
from rest_framework.request import Request
from rest_framework.serializers import BaseSerializer

from ami.base.api.fields import parse_key
from ami.base.errors import InvalidInput
from ami.jobs.api.export_wire import ExportSerializer, may_read
from ami.jobs.exports.create import create_export, delete_export
from ami.jobs.exports.formats import find_format
from ami.jobs.exports.storage import finished_file
from ami.jobs.models import DataExport
from ami.main.api.viewsets import ProjectScopedViewSet
from ami.main.media import base_url_of, check_signature
from ami.users.models import User

_PROJECT = OpenApiParameter("project_id", int, description="Only exports of this project.")
_SIGNATURE = [
    OpenApiParameter("expires", int, description="Part of a signed link."),
    OpenApiParameter("signature", str, description="Part of a signed link."),
]


@extend_schema_view(list=extend_schema(parameters=[_PROJECT]))
class ExportViewSet(
    mixins.CreateModelMixin,
    mixins.RetrieveModelMixin,
    mixins.DestroyModelMixin,
    mixins.ListModelMixin,
    ProjectScopedViewSet[DataExport],
):
    """Exports of what pipelines found. People with a role in the project see them; others see none."""

    queryset = DataExport.objects.select_related("job").prefetch_related("job__stages")
    serializer_class = ExportSerializer
    ordering_fields = ["created_at", "updated_at", "format", "rows_written", "size"]

    def get_queryset(self) -> QuerySet[DataExport]:
        """Those of projects in which the caller may see them."""
        exports = super().get_queryset()
        if self.request.user.is_superuser:
            return exports
        access = self.access
        return exports.filter(project__in=[key for key in access.projects() if may_read(access, key)])

    def perform_create(self, serializer: BaseSerializer[DataExport]) -> None:
        """Create the export with its job, and start that."""
        given = serializer.validated_data
        self.require("create", given["project"].pk)
        try:
            export = create_export(
                project=given["project"],
                export_format=given["format"],
                filters=given["filters"],
                user=self.request.user if isinstance(self.request.user, User) else None,
                base_url=base_url_of(self.request),
            )
        except InvalidInput as error:
            raise ValidationError({"filters": [error.message]}) from error
        serializer.instance = self.get_queryset().get(pk=export.pk)

    def perform_destroy(self, instance: DataExport) -> None:
        """Cancel and delete its job, then remove the file."""
        delete_export(instance)

    def perform_content_negotiation(self, request: Request, force: bool = False) -> Any:
        """Whoever downloads gets the file, whatever types the client would like."""
        return super().perform_content_negotiation(request, force or self.action == "download")

    @extend_schema(
        parameters=_SIGNATURE,
        responses={(200, "application/octet-stream"): OpenApiResponse(OpenApiTypes.BINARY, "The file.")},
    )
    @action(detail=True, methods=["get"])
    def download(self, request: Request, pk: str, **_: Any) -> FileResponse:
        """Download the file, with a token, or by a signed link such as `file_url`."""
        export = self._of_link(pk) if "signature" in request.query_params else self.get_object()
        response = FileResponse(
            finished_file(export).open("rb"),
            as_attachment=True,
            filename=export.filename,
            content_type=find_format(export.format).content_type,
        )
        response.headers["Cache-Control"] = "private, no-store"
        response.headers["X-Content-Type-Options"] = "nosniff"
        return response

    def _of_link(self, pk: str) -> DataExport:
        """The export of a signed link; one that is gone and one that never was look the same without it."""
        named = DataExport(pk=parse_key(pk) or 0)
        query = self.request.query_params
        check_signature(named.signed_subject, query.get("expires", ""), query["signature"], "export")
        export = DataExport.objects.filter(pk=named.pk).first()
        if export is None:
            raise NotFound("Not found.")
        return export

"""Files of our media storage: captures by signed link, and pictures that are public."""

from __future__ import annotations

from pathlib import Path

from django.conf import settings
from django.http import FileResponse, HttpRequest, HttpResponse, JsonResponse
from django.http.response import HttpResponseBase
from django.views.decorators.http import require_safe

from ami.base.errors import AmiError
from ami.main.images import CONTENT_TYPES
from ami.main.media import FileGone, check_link, file_below, media_file
from ami.main.models import SourceImage
from ami.main.models.storage import StorageKind
from ami.main.storage.errors import StorageError
from ami.main.storage.folders import allowed_folder

_CONTENT_TYPES = {**CONTENT_TYPES, ".gif": "image/gif", ".webp": "image/webp"}
PUBLIC_FOLDERS = ("projects/", "deployments/", "users/")
"""Pictures of projects, stations and people; everything else in the storage belongs to some project."""


@require_safe
def capture_file(request: HttpRequest, pk: int) -> HttpResponseBase:
    """The bytes of a capture, for whoever holds its signed link; no token, one query."""
    try:
        check_link(pk, request.GET.get("expires", ""), request.GET.get("signature", ""))
        found = SourceImage.objects.filter(pk=pk, public_base_url="").exclude(path="")
        capture = (
            found.select_related("data_source")
            .only("path", "data_source__kind", "data_source__folder")
            .first()
        )
        if capture is None:
            raise FileGone
        return _answer(_file_of(capture), max_age=settings.MEDIA_LINK_SECONDS, scope="private")
    except AmiError as error:
        return _refusal(error)


@require_safe
def public_file(_request: HttpRequest, path: str) -> HttpResponseBase:
    """A picture of a project, a station or a person."""
    try:
        if not path.startswith(PUBLIC_FOLDERS) or ".." in path.split("/"):
            raise FileGone
        return _answer(media_file(path), max_age=3600, scope="public")
    except AmiError as error:
        return _refusal(error)


def _file_of(capture: SourceImage) -> Path:
    """In our storage, or in the folder of its data source. Raises FileGone."""
    source = capture.data_source
    if source is None:
        return media_file(capture.path)
    if source.kind != StorageKind.FOLDER:
        raise FileGone
    try:
        return file_below(allowed_folder(source.folder), capture.path)
    except StorageError:
        raise FileGone from None


def _answer(file: Path, *, max_age: int, scope: str) -> FileResponse:
    content_type = _CONTENT_TYPES.get(file.suffix.lower(), "application/octet-stream")
    headers = {"Cache-Control": f"{scope}, max-age={max_age}", "X-Content-Type-Options": "nosniff"}
    return FileResponse(file.open("rb"), content_type=content_type, headers=headers)


def _refusal(error: AmiError) -> HttpResponse:
    return JsonResponse({"detail": error.message, "code": error.code}, status=error.http_status)

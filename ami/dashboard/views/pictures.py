"""Thumbnails, for who may see the capture."""

from __future__ import annotations

import structlog
from django.http import Http404, HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from ami.base.errors import AmiError
from ami.dashboard.reach import find
from ami.dashboard.thumbnails import WIDTHS, has_thumbnails, thumbnail_of
from ami.main.models import SourceImage

logger = structlog.get_logger(__name__)

KEEP_SECONDS = 7 * 86_400
KEEP_BROKEN_SECONDS = 60

NO_PICTURE = """\
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 120 80" role="img" aria-label="No picture">
<rect width="120" height="80" fill="#8882"/>
<path d="M42 30h36v22H42z M42 48l10-9 8 7 7-5 11 9 M38 60L82 22" fill="none" stroke="#888" stroke-width="2"/>
</svg>
"""


@require_safe
def thumbnail(request: HttpRequest, pk: int, width: int) -> HttpResponse:
    """A capture made small; a drawing that says so where its file is damaged or gone."""
    if width not in WIDTHS:
        raise Http404
    capture = find(
        request, SourceImage.objects.only("path", "public_base_url", "checksum", "data_source"), pk
    )
    if not has_thumbnails(capture):
        raise Http404
    headers = {"X-Content-Type-Options": "nosniff", "Content-Security-Policy": "default-src 'none'"}
    try:
        data = thumbnail_of(capture, width)
    except AmiError as error:
        logger.info("thumbnail.none", capture=pk, reason=error.message)
        headers["Cache-Control"] = f"private, max-age={KEEP_BROKEN_SECONDS}"
        return HttpResponse(NO_PICTURE, "image/svg+xml", headers=headers)
    headers["Cache-Control"] = f"private, max-age={KEEP_SECONDS}, immutable"
    return HttpResponse(data, "image/jpeg", headers=headers)

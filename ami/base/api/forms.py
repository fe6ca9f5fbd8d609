"""Forms, for clients that send them and for the images of projects, with limits as JSON bodies have them.

How many fields and files a form may have is for Django to say (`DATA_UPLOAD_MAX_NUMBER_FIELDS` and `_FILES`).
"""

from __future__ import annotations

from io import BytesIO
from typing import IO, Any

from django.conf import settings
from rest_framework.parsers import FormParser, MultiPartParser

from ami.base.api.bodies import check_length, read_body


class SmallFormParser(FormParser):
    """Parses `application/x-www-form-urlencoded`: a form says little, and is read whole."""

    def parse(self, stream: IO[Any], media_type: str | None = None, parser_context: Any = None) -> Any:
        """The fields. Raises BodyTooLarge."""
        body = read_body(stream, parser_context["request"].META, settings.WORKER_CALL_MAX_BYTES)
        return super().parse(BytesIO(body), media_type, parser_context)


class BoundedMultiPartParser(MultiPartParser):
    """Parses `multipart/form-data`, whose files go to the disk of the server while they are read."""

    def limit(self) -> int:
        """Most bytes that are accepted."""
        return int(settings.DATA_UPLOAD_MAX_MEMORY_SIZE)

    def parse(self, stream: IO[Any], media_type: str | None = None, parser_context: Any = None) -> Any:
        """The fields and files. Raises BodyTooLarge before anything is read; without a length it is a 400."""
        check_length(parser_context["request"].META, self.limit())
        return super().parse(stream, media_type, parser_context)


class SmallMultiPartParser(BoundedMultiPartParser):
    """The same for calls that take no files."""

    def limit(self) -> int:
        """Most bytes that are accepted."""
        return int(settings.WORKER_CALL_MAX_BYTES)

"""Errors become answers here, once: a status code and a sentence that says what to do."""

from __future__ import annotations

import math
from typing import Any

import structlog
from django.core.exceptions import RequestDataTooBig, TooManyFieldsSent, TooManyFilesSent
from django.core.exceptions import ValidationError as ModelValidationError
from django.db import DataError, IntegrityError, InterfaceError, OperationalError
from django.db.models import ProtectedError, RestrictedError
from django.http import Http404
from rest_framework.exceptions import NotFound, ValidationError
from rest_framework.response import Response
from rest_framework.serializers import as_serializer_error
from rest_framework.views import exception_handler as rest_exception_handler

from ami.base.errors import AmiError, TemporarilyUnavailable

logger = structlog.get_logger(__name__)

UNSTORABLE = "A value in the request cannot be stored: out of range, too long, or with a NUL character."
DATABASE_SILENT = "The database does not answer; try again shortly."


def exception_handler(exc: Exception, context: dict[str, Any]) -> Response | None:
    """The answer for an error; None (a 500, with a traceback in the log) for one that nobody foresaw.

    Errors of Django REST framework keep its shapes: `{"detail": …}`, `{"field": [...]}`, or a plain list.
    """
    match exc:
        case AmiError():
            return _answer(exc)
        case OperationalError() | InterfaceError():
            logger.error("api.database_unavailable", error=type(exc).__name__, exc_info=exc)
            return _answer(TemporarilyUnavailable(DATABASE_SILENT))
        case DataError():
            logger.warning("api.value_refused", exc_info=exc)
            return _sentence(400, "invalid", UNSTORABLE)
        case ProtectedError() | RestrictedError():
            return _sentence(409, "in_use", "This is still in use and cannot be deleted.")
        case IntegrityError():
            logger.error("api.conflict", exc_info=exc)
            return _sentence(409, "conflict", "This conflicts with something that exists already.")
        case RequestDataTooBig():
            return _sentence(413, "too_large", "The request body is too large; send fewer items at once.")
        case TooManyFieldsSent() | TooManyFilesSent():
            return _sentence(400, "invalid", "The form has too many fields or files.")
        case Http404():  # Django's text names our models; clients know this one
            return rest_exception_handler(NotFound("Not found."), context)
        case ModelValidationError():
            return rest_exception_handler(ValidationError(as_serializer_error(exc)), context)
    return rest_exception_handler(exc, context)


def _answer(error: AmiError) -> Response:
    headers = {}
    if isinstance(error, TemporarilyUnavailable):
        headers["Retry-After"] = str(max(1, math.ceil(error.retry_after)))
    return _sentence(error.http_status, error.code, error.message, headers)


def _sentence(status: int, code: str, sentence: str, headers: dict[str, str] | None = None) -> Response:
    return Response({"detail": sentence, "code": code}, status=status, headers=headers)

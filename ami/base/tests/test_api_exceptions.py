"""Errors become answers."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.exceptions import RequestDataTooBig
from django.core.exceptions import ValidationError as ModelValidationError
from django.db import DataError, IntegrityError, InterfaceError, OperationalError
from django.db.models import ProtectedError
from django.http import Http404
from rest_framework.exceptions import NotAuthenticated, Throttled, ValidationError
from rest_framework.response import Response

from ami.base.api.exceptions import exception_handler
from ami.base.errors import InvalidInput, TemporarilyUnavailable


def answer(error: Exception) -> Response:
    response = exception_handler(error, {})
    assert response is not None
    return response


def test_our_errors_answer_with_their_sentence_and_code() -> None:
    response = answer(InvalidInput("The lamp is off."))
    assert response.status_code == 400
    assert response.data == {"detail": "The lamp is off.", "code": "invalid"}


def test_what_passes_answers_503_with_a_time_to_come_back() -> None:
    response = answer(TemporarilyUnavailable("The queue rests.", retry_after=0.2))
    assert response.status_code == 503
    assert response["Retry-After"] == "1"


@pytest.mark.parametrize("error", [OperationalError("host=secret"), InterfaceError("closed")])
def test_a_silent_database_is_a_503_without_details(error: Exception) -> None:
    response = answer(error)
    assert response.status_code == 503
    assert "secret" not in str(response.data)
    assert response["Retry-After"]


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (DataError("out of range"), 400),
        (IntegrityError("duplicate key"), 409),
        (ProtectedError("in use", set()), 409),
        (RequestDataTooBig("too big"), 413),
        (Http404(), 404),
        (ModelValidationError({"name": ["Too long."]}), 400),
    ],
)
def test_foreseeable_errors_are_no_500(error: Exception, status: int) -> None:
    assert answer(error).status_code == status


@pytest.mark.parametrize(
    ("error", "data"),
    [
        (ValidationError("msg"), ["msg"]),
        (ValidationError({"field": ["msg"]}), {"field": ["msg"]}),
        (NotAuthenticated(), {"detail": "Authentication credentials were not provided."}),
    ],
)
def test_errors_of_the_framework_keep_their_shape(error: Exception, data: Any) -> None:
    assert answer(error).data == data


def test_a_throttled_caller_hears_when_to_come_back() -> None:
    assert answer(Throttled(wait=7))["Retry-After"] == "7"


def test_what_nobody_foresaw_stays_a_500() -> None:
    assert exception_handler(RuntimeError("bug"), {}) is None

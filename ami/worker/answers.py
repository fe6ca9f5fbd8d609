"""From the server's answer, or its absence, to data or to an error whose sentence says what to do."""

from __future__ import annotations

from typing import Any, TypeVar

import orjson
import pydantic
import requests

from ami.worker.errors import (
    AnswerLost,
    BadAddress,
    NotAllowed,
    NotAuthorised,
    NotFound,
    RequestRefused,
    ServerBusy,
    ServerFailed,
    UnexpectedAnswer,
    Unreachable,
    WorkerError,
)
from ami.worker.retrying import parse_retry_after

MAX_DETAIL = 500
BUSY = frozenset({429, 503})
FAILED = frozenset({500, 502, 504})

Model = TypeVar("Model", bound=pydantic.BaseModel)


def read_answer(response: requests.Response, schema: type[Model]) -> Model:
    """The body as `schema`; raises a `WorkerError` for everything else."""
    if not response.ok or response.is_redirect:
        raise _error_for(response)
    try:
        return schema.model_validate(orjson.loads(response.content))
    except (orjson.JSONDecodeError, pydantic.ValidationError) as error:
        raise UnexpectedAnswer(
            f"{response.url} answered {response.status_code}, but not as an AMI server does. "
            "Check the address of the server, and that worker and server are of the same age."
        ) from error


def explain_lost_connection(base: str, error: requests.ConnectionError) -> WorkerError:
    """A refused connection is harmless; one that broke may have delivered the request."""
    cause = root_cause(error)
    if "CERTIFICATE" in str(error) or "WRONG_VERSION" in str(error):
        return BadAddress(f"{base} cannot be trusted, or does not speak https: {cause}.")
    if isinstance(error, requests.exceptions.ConnectTimeout) or "establish a new connection" in str(error):
        return Unreachable(f"Cannot reach {base}: {cause}. Is the server running, and is the address right?")
    if "resolve" in str(error):
        return Unreachable(f"Cannot find the server of {base}: {cause}. Is the address spelt correctly?")
    return AnswerLost(f"The connection to {base} broke: {cause}.")


def root_cause(error: BaseException) -> str:
    """The innermost reason in words, such as 'Connection refused'."""
    while (inner := error.__cause__ or error.__context__ or getattr(error, "reason", None)) is not None:
        if not isinstance(inner, BaseException):
            break
        error = inner
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


def _error_for(response: requests.Response) -> WorkerError:
    status, detail = response.status_code, _detail(response)
    if response.is_redirect:
        target = response.headers.get("Location", "another address")
        return UnexpectedAnswer(f"The server sends us on to {target}. Use that address from the start.")
    if status == 401:
        return NotAuthorised(
            f"The server does not accept the token: {detail} Set AMI_TOKEN, or --token, to a worker "
            "key, or to the token of a user; a manager of the project can give you one."
        )
    if status == 403:
        return NotAllowed(
            f"The token is valid, but may not do this: {detail} Ask the operator to give its user the right."
        )
    if status == 404:
        return NotFound(
            f"{response.url} answered 404: {detail} Check the address of the server (it usually ends in "
            "/api/v2) and the number of the project or job."
        )
    if status in BUSY | FAILED:
        wait = parse_retry_after(response.headers.get("Retry-After"))
        kind = ServerBusy if status in BUSY else ServerFailed
        return kind(f"The server cannot answer right now ({status}): {detail}", retry_after=wait)
    return RequestRefused(f"The server refused the request ({status}): {detail}")


def _detail(response: requests.Response) -> str:
    """The server's own words as one short sentence, whatever their shape."""
    try:
        words = _flatten(orjson.loads(response.content))
    except orjson.JSONDecodeError:
        words = response.reason or "no reason given"
    words = words.strip()[:MAX_DETAIL] or "no reason given"
    return words if words.endswith((".", "!", "?")) else f"{words}."


def _flatten(value: Any) -> str:
    if isinstance(value, dict):
        plain = {"detail", "error", "non_field_errors"}
        return " ".join(
            f"{'' if key in plain else f'{key}: '}{_flatten(item)}" for key, item in value.items()
        )
    if isinstance(value, list):
        return " ".join(map(_flatten, value))
    return str(value)

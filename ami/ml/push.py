"""What the platform asks a push service. Nothing here touches the database; answers are not trusted.

The paths are joined to the end of the service's address: `https://gpu.example.org/moths`, with a slash at its
end or without, is asked at `https://gpu.example.org/moths/readyz`, and likewise for `info` and `process`. The
platform that services were first written for joins `readyz` and `info` relatively, which loses the last part
of an address without a slash, and `/process` absolutely, which loses the whole path. Services that exist are
at the root, where both ways are the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar
from urllib.parse import urlsplit, urlunsplit

from pydantic import ValidationError

from ami.base.outgoing import AnswerNotUnderstood, Limits, fetch
from ami.ml.schemas import ProcessingServiceInfoResponse, ProcessingServiceReadyResponse
from ami.ml.schemas.base import WireModel

_READY_MAX_BYTES = 512 * 1024
_INFO = Limits(total=8, max_bytes=64 * 1024 * 1024)
"""Category maps of tens of thousands of species are megabytes, and come once per pipeline."""

_Schema = TypeVar("_Schema", bound=WireModel)


@dataclass(frozen=True)
class Readiness:
    """A service that is there."""

    slugs: list[str]
    """The pipelines that it can run right now."""
    seconds: float
    """How long it took to say so."""


def address_of(endpoint: str, name: str) -> str:
    """Where a service answers to `name` (readyz, info, process); keeps the path and query of its address."""
    parts = urlsplit(endpoint)
    return urlunsplit((parts.scheme, parts.netloc, f"{parts.path.rstrip('/')}/{name}", parts.query, ""))


def ask_ready(endpoint: str, seconds: float = 8) -> Readiness:
    """Ask a service whether it is there. Takes `seconds` at most.

    Raises OutgoingError, with a sentence for an operator, if it is not.
    """
    limits = Limits(total=seconds, max_bytes=_READY_MAX_BYTES)
    answer, took = _ask(endpoint, "readyz", ProcessingServiceReadyResponse, limits)
    return Readiness(answer.status, took)


def ask_info(endpoint: str) -> ProcessingServiceInfoResponse:
    """Ask a service for its pipelines. Takes 8 s at most.

    Raises OutgoingError, with a sentence for an operator, if that fails.
    """
    return _ask(endpoint, "info", ProcessingServiceInfoResponse, _INFO)[0]


def _ask(endpoint: str, name: str, schema: type[_Schema], limits: Limits) -> tuple[_Schema, float]:
    answer = fetch(address_of(endpoint, name), limits=limits)
    try:
        return schema.model_validate(answer.json()), answer.seconds
    except ValidationError as error:
        problem = error.errors(include_url=False, include_context=False, include_input=False)[0]
        where = ".".join(map(str, problem["loc"])) or "the whole"
        raise AnswerNotUnderstood(
            f"The answer of {answer.host} to {name} is not as it should be: {where}: {problem['msg'][:200]}."
        ) from error

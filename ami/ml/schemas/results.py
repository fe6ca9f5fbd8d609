"""What comes back for an image: predictions, or the reason why there are none."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field

from ami.ml.schemas.algorithms import AlgorithmConfigResponse
from ami.ml.schemas.base import (
    MAX_ALGORITHMS,
    MAX_DETECTIONS,
    MAX_IMAGES,
    Id,
    Name,
    Number,
    Text,
    Token,
    WireModel,
)
from ami.ml.schemas.images import SourceImageResponse
from ami.ml.schemas.predictions import DetectionResponse

MAX_ERROR_TEXT = 2_000


def readable(text: str) -> str:
    """Shorten and strip what cannot be shown: an error must never be refused for its wording."""
    return "".join(c for c in text[: 2 * MAX_ERROR_TEXT] if c in "\n\t" or c.isprintable())[:MAX_ERROR_TEXT]


def _few(algorithms: object) -> object:
    """Refuse many before a complaint is written about each."""
    if isinstance(algorithms, dict) and len(algorithms) > MAX_ALGORITHMS:
        raise ValueError(f"more than {MAX_ALGORITHMS} algorithms")
    return algorithms


class PipelineResultsResponse(WireModel):
    """Predictions for one image (pull mode) or several (push mode)."""

    pipeline: Name
    algorithms: Annotated[dict[str, AlgorithmConfigResponse], BeforeValidator(_few)] = {}
    """Read by nobody: algorithms are announced when the pipeline is registered."""
    total_time: Number
    source_images: Annotated[list[SourceImageResponse], Field(max_length=MAX_IMAGES, fail_fast=True)]
    detections: Annotated[list[DetectionResponse], Field(max_length=MAX_DETECTIONS, fail_fast=True)]
    errors: list[Any] | Text | None = None


class PipelineResultsError(WireModel):
    """Why an image could not be processed."""

    error: Annotated[str, AfterValidator(readable)]
    image_id: Id | None = None
    retryable: bool | None = None
    """Our addition: False when trying again can never help."""
    code: Name | None = None
    """Our addition: the kind of failure in one word."""


class PipelineTaskResult(WireModel):
    """One item of a result post: the lease token of the task, and what became of its image.

    Success is tried first: whatever has all that a success needs is one, even with an `error` beside it.
    """

    reply_subject: Token
    result: Annotated[PipelineResultsResponse | PipelineResultsError, Field(union_mode="left_to_right")]

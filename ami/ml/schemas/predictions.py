"""What a pipeline says about an image: boxes, and classifications of what is in them.

Of a list only the first mistake is told: a million of them would cost more memory than the post.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from ami.ml.schemas.algorithms import AlgorithmReference
from ami.ml.schemas.base import (
    MAX_CLASSES,
    MAX_CLASSIFICATIONS,
    Id,
    Name,
    Number,
    Timestamp,
    Url,
    WireModel,
)
from ami.ml.schemas.images import SourceImageRequest


class BoundingBox(WireModel):
    """Pixels of the original image; x to the right, y down."""

    x1: Number
    y1: Number
    x2: Number
    y2: Number


class ClassificationResponse(WireModel):
    """One classifier's verdict on one detection."""

    classification: Name
    labels: Annotated[list[Name], Field(max_length=MAX_CLASSES, fail_fast=True)] | None = None
    scores: Annotated[list[Number], Field(max_length=MAX_CLASSES, fail_fast=True)] = []
    """One a class, in the order of the category map."""
    logits: Annotated[list[Number], Field(max_length=MAX_CLASSES, fail_fast=True)] | None = None
    inference_time: Number | None = None
    algorithm: AlgorithmReference
    terminal: bool = True
    """False for a step on the way, such as moth or not."""
    timestamp: Timestamp


class DetectionResponse(WireModel):
    """One thing found in one image; a detection without a box says that nothing was found."""

    source_image_id: Id
    bbox: BoundingBox | None = None
    inference_time: Number | None = None
    algorithm: AlgorithmReference
    timestamp: Timestamp
    crop_image_url: Url | None = None
    classifications: Annotated[
        list[ClassificationResponse], Field(max_length=MAX_CLASSIFICATIONS, fail_fast=True)
    ] = []


class DetectionRequest(WireModel):
    """A detection that already exists and is to be classified again."""

    source_image: SourceImageRequest
    bbox: BoundingBox | None = None
    crop_image_url: Url | None = None
    algorithm: AlgorithmReference

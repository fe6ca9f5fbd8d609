"""Pipelines as they are announced, and the push-mode request to run one."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from ami.ml.schemas.algorithms import AlgorithmConfigResponse
from ami.ml.schemas.base import MAX_ALGORITHMS, MAX_DETECTIONS, MAX_IMAGES, JsonObject, Name, Text, WireModel
from ami.ml.schemas.images import SourceImageRequest
from ami.ml.schemas.predictions import DetectionRequest


class PipelineStageParam(WireModel):
    """A setting of a stage that may be shown to people."""

    name: Name
    key: Name
    category: Name = "default"


class PipelineStage(WireModel):
    """A configurable step of a pipeline."""

    key: Name
    name: Name
    params: Annotated[list[PipelineStageParam], Field(max_length=MAX_ALGORITHMS)] = []
    description: Text | None = None


class PipelineConfigResponse(WireModel):
    """A pipeline as a service or a worker announces it."""

    name: Name
    slug: Name
    version: int
    description: Text | None = None
    algorithms: Annotated[list[AlgorithmConfigResponse], Field(max_length=MAX_ALGORITHMS)] = []
    stages: Annotated[list[PipelineStage], Field(max_length=MAX_ALGORITHMS)] = []


class PipelineRequest(WireModel):
    """What we POST to `/process` of a push-mode service."""

    pipeline: Name
    source_images: Annotated[list[SourceImageRequest], Field(max_length=MAX_IMAGES)]
    detections: Annotated[list[DetectionRequest], Field(max_length=MAX_DETECTIONS)] | None = None
    config: JsonObject | None = None

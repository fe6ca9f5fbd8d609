"""What processing services say about themselves, and what we say about them."""

from __future__ import annotations

from typing import Annotated

from pydantic import ConfigDict, Field, model_validator

from ami.ml.schemas.algorithms import AlgorithmConfigResponse
from ami.ml.schemas.base import MAX_PIPELINES, Name, Number, Text, Timestamp, Url, WireModel, without_nul
from ami.ml.schemas.pipelines import PipelineConfigResponse


class ProcessingServiceReadyResponse(WireModel):
    """Answer of a push-mode service to `GET /readyz`."""

    status: Annotated[list[Name], Field(max_length=MAX_PIPELINES)]
    """Slugs of the pipelines that it can run right now."""


class ProcessingServiceInfoResponse(WireModel):
    """Answer of a push-mode service to `GET /info`."""

    name: Name
    description: Text | None = None
    pipelines: Annotated[list[PipelineConfigResponse], Field(max_length=MAX_PIPELINES)] = []
    algorithms: Annotated[list[AlgorithmConfigResponse], Field(max_length=MAX_PIPELINES)] = []


class ProcessingServiceStatusResponse(WireModel):
    """Whether a service could be reached, and what it offers right now."""

    timestamp: Timestamp
    request_successful: bool
    pipeline_configs: list[PipelineConfigResponse] = []
    error: Text | None = None
    server_live: bool | None = None
    pipelines_online: list[Name] = []
    endpoint_url: Url | None = None
    latency: Number


class ProcessingServiceClientInfo(WireModel):
    """Whatever a worker wants to say about itself; every key is kept."""

    model_config = ConfigDict(extra="allow")

    @model_validator(mode="before")
    @classmethod
    def _storable(cls, value: object) -> object:
        return without_nul(value) if isinstance(value, dict) else value


class PipelineRegistrationRequest(WireModel):
    """What a worker POSTs to announce its pipelines to a project."""

    processing_service_name: Name
    pipelines: Annotated[list[PipelineConfigResponse], Field(max_length=MAX_PIPELINES)] = []
    client_info: ProcessingServiceClientInfo | None = None
    """Our addition: who announces."""


class PipelineRegistrationResponse(WireModel):
    """What registering changed."""

    timestamp: Timestamp
    success: bool
    error: Text | None = None
    pipelines: list[PipelineConfigResponse] = []
    pipelines_created: list[Name] = []
    algorithms_created: list[Name] = []

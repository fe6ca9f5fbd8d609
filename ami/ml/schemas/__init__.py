"""The wire schemas, shared by the server, the reference worker and anybody's own worker.

They need pydantic and nothing else: no Django is imported here.
"""

from __future__ import annotations

from ami.ml.schemas.algorithms import (
    AlgorithmCategoryMapResponse,
    AlgorithmConfigResponse,
    AlgorithmReference,
)
from ami.ml.schemas.images import SourceImageRequest, SourceImageResponse
from ami.ml.schemas.jobs import JobsResponse, ListedJob
from ami.ml.schemas.leases import (
    FailedTask,
    FailRequest,
    FailResponse,
    LeasesRequest,
    LeasesResponse,
    LeaseState,
    TaskFailure,
)
from ami.ml.schemas.pipelines import (
    PipelineConfigResponse,
    PipelineRequest,
    PipelineStage,
    PipelineStageParam,
)
from ami.ml.schemas.predictions import (
    BoundingBox,
    ClassificationResponse,
    DetectionRequest,
    DetectionResponse,
)
from ami.ml.schemas.reservations import (
    NextJob,
    NextJobRequest,
    NextJobResponse,
    ReservedTask,
    ReserveRequest,
    ReserveResponse,
)
from ami.ml.schemas.results import PipelineResultsError, PipelineResultsResponse, PipelineTaskResult
from ami.ml.schemas.services import (
    PipelineRegistrationRequest,
    PipelineRegistrationResponse,
    ProcessingServiceClientInfo,
    ProcessingServiceInfoResponse,
    ProcessingServiceReadyResponse,
    ProcessingServiceStatusResponse,
)
from ami.ml.schemas.tasks import (
    PipelineProcessingTask,
    QueuedTaskAcknowledgment,
    ResultResponse,
    TasksResponse,
)

__all__ = [
    "AlgorithmCategoryMapResponse",
    "AlgorithmConfigResponse",
    "AlgorithmReference",
    "BoundingBox",
    "ClassificationResponse",
    "DetectionRequest",
    "DetectionResponse",
    "FailRequest",
    "FailResponse",
    "FailedTask",
    "JobsResponse",
    "LeaseState",
    "LeasesRequest",
    "LeasesResponse",
    "ListedJob",
    "NextJob",
    "NextJobRequest",
    "NextJobResponse",
    "PipelineConfigResponse",
    "PipelineProcessingTask",
    "PipelineRegistrationRequest",
    "PipelineRegistrationResponse",
    "PipelineRequest",
    "PipelineResultsError",
    "PipelineResultsResponse",
    "PipelineStage",
    "PipelineStageParam",
    "PipelineTaskResult",
    "ProcessingServiceClientInfo",
    "ProcessingServiceInfoResponse",
    "ProcessingServiceReadyResponse",
    "ProcessingServiceStatusResponse",
    "QueuedTaskAcknowledgment",
    "ReserveRequest",
    "ReserveResponse",
    "ReservedTask",
    "ResultResponse",
    "SourceImageRequest",
    "SourceImageResponse",
    "TaskFailure",
    "TasksResponse",
]

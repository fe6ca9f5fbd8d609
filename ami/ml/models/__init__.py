"""Algorithms, pipelines, the services that run them, and what they predicted."""

from ami.ml.models.algorithm import Algorithm, AlgorithmCategoryMap
from ami.ml.models.pipeline import Pipeline, ProjectPipelineConfig
from ami.ml.models.prediction import Classification, Detection
from ami.ml.models.processing_service import ProcessingService
from ami.ml.models.worker_instance import WorkerInstance, lease_key
from ami.ml.models.worker_key import WorkerKey

__all__ = [
    "Algorithm",
    "AlgorithmCategoryMap",
    "Classification",
    "Detection",
    "Pipeline",
    "ProcessingService",
    "ProjectPipelineConfig",
    "WorkerInstance",
    "WorkerKey",
    "lease_key",
]

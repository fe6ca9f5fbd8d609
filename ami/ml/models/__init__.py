"""Algorithms, pipelines, the services that run them, and what they predicted."""

from ami.ml.models.algorithm import Algorithm, AlgorithmCategoryMap
from ami.ml.models.pipeline import Pipeline, ProjectPipelineConfig
from ami.ml.models.prediction import Classification, Detection
from ami.ml.models.processing_service import ProcessingService

__all__ = [
    "Algorithm",
    "AlgorithmCategoryMap",
    "Classification",
    "Detection",
    "Pipeline",
    "ProcessingService",
    "ProjectPipelineConfig",
]

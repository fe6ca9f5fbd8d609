"""From what a pipeline found to the items of a result post."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from ami.ml.schemas import (
    AlgorithmReference,
    BoundingBox,
    ClassificationResponse,
    DetectionResponse,
    PipelineProcessingTask,
    PipelineResultsError,
    PipelineResultsResponse,
    PipelineTaskResult,
    SourceImageResponse,
)
from ami.worker.pipeline import Classification, Found, LoadedImage, Pipeline


def success(
    pipeline: Pipeline, image: LoadedImage, finds: Sequence[Found], seconds: float
) -> PipelineResultsResponse:
    """The predictions for one image; raises ValueError if what the pipeline returned makes no sense."""
    now = datetime.now(UTC)
    return PipelineResultsResponse(
        pipeline=pipeline.slug,
        total_time=seconds,
        source_images=[SourceImageResponse(id=image.id, url=image.url)],
        detections=[_detection(pipeline, image, find, now, seconds) for find in finds],
    )


def failure(image_id: str, reason: str, *, code: str, retryable: bool | None = None) -> PipelineResultsError:
    """Why there are no predictions for an image; `retryable=False` if trying again can never help."""
    return PipelineResultsError(error=reason, image_id=image_id, code=code, retryable=retryable)


def answer(
    task: PipelineProcessingTask, result: PipelineResultsResponse | PipelineResultsError
) -> PipelineTaskResult:
    """The item to post for a task, with its lease token as it came."""
    return PipelineTaskResult(reply_subject=task.reply_subject or "", result=result)


def _detection(
    pipeline: Pipeline, image: LoadedImage, find: Found, now: datetime, seconds: float
) -> DetectionResponse:
    box = find.bounds
    if box.width <= 0 or box.height <= 0:
        raise ValueError(f"A box must have x1 < x2 and y1 < y2, this one is {box}")
    return DetectionResponse(
        source_image_id=image.id,
        bbox=BoundingBox(x1=box.x1, y1=box.y1, x2=box.x2, y2=box.y2),
        inference_time=seconds,
        algorithm=pipeline.detector,
        timestamp=now,
        classifications=[_classification(pipeline, item, now) for item in find.classifications],
    )


def _classification(pipeline: Pipeline, item: Classification, now: datetime) -> ClassificationResponse:
    algorithm = pipeline.classifier(item.algorithm)
    labels = algorithm.category_map.labels if algorithm.category_map else []
    if labels and len(item.scores) != len(labels):
        raise ValueError(
            f"{algorithm.key} has {len(labels)} labels but a classification has {len(item.scores)} scores; "
            "give one score per label, in their order"
        )
    return ClassificationResponse(
        classification=item.label,
        scores=[float(score) for score in item.scores],
        logits=None if item.logits is None else [float(logit) for logit in item.logits],
        algorithm=AlgorithmReference(name=algorithm.name, key=algorithm.key),
        terminal=item.terminal,
        timestamp=now,
    )

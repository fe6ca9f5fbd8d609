"""Run a pipeline over a batch so that every task gets an answer: predictions, or the reason why not."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence

from ami.ml.schemas import PipelineResultsError, PipelineResultsResponse, PipelineTaskResult
from ami.worker.download import FailedImage
from ami.worker.feed import Batch
from ami.worker.masking import without_queries
from ami.worker.pipeline import Found, LoadedImage, Pipeline
from ami.worker.results import answer, failure, success

logger = logging.getLogger(__name__)

Outcome = PipelineResultsResponse | PipelineResultsError


def process_batch(pipeline: Pipeline, batch: Batch) -> list[PipelineTaskResult]:
    """One result a task, in the order of the tasks; never raises for what a pipeline does."""
    loaded = [image for image in batch.images if isinstance(image, LoadedImage)]
    outcomes = iter(process_images(pipeline, loaded))
    return [
        answer(task, _not_downloaded(image) if isinstance(image, FailedImage) else next(outcomes))
        for task, image in zip(batch.tasks, batch.images, strict=True)
    ]


def process_images(pipeline: Pipeline, images: Sequence[LoadedImage]) -> list[Outcome]:
    """One outcome an image. If the batch raises, each image is tried alone: only the culprit fails."""
    if not images:
        return []
    try:
        return _process_together(pipeline, images)
    except Exception as error:  # noqa: BLE001 - a pipeline is somebody else's code and may raise anything
        if len(images) == 1:
            return [_raised(images[0], error)]
        logger.warning("batch failed (%s); trying its %d images one by one", _in_words(error), len(images))
    return [outcome for image in images for outcome in process_images(pipeline, [image])]


def _process_together(pipeline: Pipeline, images: Sequence[LoadedImage]) -> list[Outcome]:
    started = time.monotonic()
    finds = pipeline.process(images)
    seconds = (time.monotonic() - started) / len(images)
    if len(finds) != len(images):
        raise ValueError(f"process() was given {len(images)} images but returned {len(finds)} lists")
    return [_checked(pipeline, image, found, seconds) for image, found in zip(images, finds, strict=True)]


def _checked(pipeline: Pipeline, image: LoadedImage, finds: Sequence[Found], seconds: float) -> Outcome:
    """The success as it goes over the wire; what cannot be sent (NaN, an empty box) fails this image."""
    try:
        return success(pipeline, image, finds, seconds)
    except (TypeError, ValueError) as error:
        return _raised(image, error)


def _raised(image: LoadedImage, error: Exception) -> PipelineResultsError:
    logger.error("image failed image=%s: %s", image.id, _in_words(error), exc_info=error)
    return failure(image.id, _in_words(error), code="worker_error")


def _not_downloaded(image: FailedImage) -> PipelineResultsError:
    logger.warning("image failed image=%s: %s", image.id, image.reason)
    code = "worker_error" if image.retryable else "unreadable_image"
    return failure(image.id, image.reason, code=code, retryable=image.retryable)


def _in_words(error: Exception) -> str:
    return without_queries(f"{type(error).__name__}: {error}")

"""Every task of a batch gets an answer, whatever a pipeline does."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import pytest
from PIL import Image

from ami.ml.schemas import PipelineResultsError, PipelineResultsResponse, ReservedTask
from ami.worker.download import FailedImage
from ami.worker.feed import Batch
from ami.worker.pipeline import Found, LoadedImage, Pipeline, detector
from ami.worker.processing import process_batch


class Picky(Pipeline):
    """Fails on black images, and counts how often it is called."""

    slug = "picky"
    name = "Picky"
    algorithms = (detector("picky_detector", "Picky"),)

    def __init__(self) -> None:
        self.calls: list[list[str]] = []

    def process(self, images: Sequence[LoadedImage]) -> Sequence[Sequence[Found]]:
        self.calls.append([image.id for image in images])
        if any(image.image.getpixel((0, 0)) == (0, 0, 0) for image in images):
            raise RuntimeError("CUDA out of memory")
        return [[Found((0, 0, 4, 4))] for _ in images]


def make_batch(*images: LoadedImage | FailedImage) -> Batch:
    tasks = [
        ReservedTask(
            id=image.id,
            image_id=image.id,
            image_url="http://x",
            reply_subject=f"lease-{image.id}",
            job_id=1,
            pipeline_slug="picky",
        )
        for image in images
    ]
    return Batch(slug="picky", tasks=tasks, images=images)


def loaded(image_id: str, colour: str = "white") -> LoadedImage:
    return LoadedImage(image_id, "http://x", Image.new("RGB", (8, 8), colour))


def test_batch_is_processed_together() -> None:
    pipeline = Picky()
    results = process_batch(pipeline, make_batch(loaded("1"), loaded("2")))
    assert pipeline.calls == [["1", "2"]]
    assert [result.reply_subject for result in results] == ["lease-1", "lease-2"]
    assert all(isinstance(result.result, PipelineResultsResponse) for result in results)


def test_poison_image_fails_alone(caplog: pytest.LogCaptureFixture) -> None:
    pipeline = Picky()
    with caplog.at_level(logging.WARNING):
        results = process_batch(pipeline, make_batch(loaded("1"), loaded("2", "black"), loaded("3")))
    assert pipeline.calls == [["1", "2", "3"], ["1"], ["2"], ["3"]]
    good, poison, last = (result.result for result in results)
    assert isinstance(good, PipelineResultsResponse)
    assert isinstance(last, PipelineResultsResponse)
    assert isinstance(poison, PipelineResultsError)
    assert (poison.image_id, poison.error) == ("2", "RuntimeError: CUDA out of memory")
    assert poison.retryable is None, "whether to try again is for the server to decide"
    assert "one by one" in caplog.text


def test_images_that_were_not_downloaded_are_reported_in_their_place() -> None:
    pipeline = Picky()
    gone = FailedImage("2", "Downloading x failed: the server answered 404.", retryable=False)
    slow = FailedImage("3", "Downloading x failed: ReadTimeout.", retryable=True)
    results = process_batch(pipeline, make_batch(loaded("1"), gone, slow, loaded("4")))
    assert pipeline.calls == [["1", "4"]]
    _, missing, late, _ = (result.result for result in results)
    assert isinstance(missing, PipelineResultsError)
    assert isinstance(late, PipelineResultsError)
    assert (missing.image_id, missing.code, missing.retryable) == ("2", "unreadable_image", False)
    assert (late.image_id, late.retryable) == ("3", True)


def test_batch_without_a_single_image_does_not_reach_the_pipeline() -> None:
    pipeline = Picky()
    results = process_batch(pipeline, make_batch(FailedImage("1", "gone", retryable=False)))
    assert pipeline.calls == []
    assert len(results) == 1


def test_pipeline_that_forgets_an_image_fails_with_a_sentence() -> None:
    class Forgetful(Picky):
        def process(self, images: Sequence[LoadedImage]) -> Sequence[Sequence[Found]]:
            return []

    (result,) = process_batch(Forgetful(), make_batch(loaded("1")))
    assert isinstance(result.result, PipelineResultsError)
    assert "was given 1 images but returned 0 lists" in result.result.error


def test_nonsense_for_one_image_fails_that_image_without_running_the_batch_again() -> None:
    class Odd(Picky):
        def process(self, images: Sequence[LoadedImage]) -> Sequence[Sequence[Found]]:
            super().process(images)
            return [[Found((9, 9, 1, 1))] if image.id == "2" else [] for image in images]

    pipeline = Odd()
    results = process_batch(pipeline, make_batch(loaded("1"), loaded("2")))
    assert pipeline.calls == [["1", "2"]]
    assert [type(result.result) for result in results] == [PipelineResultsResponse, PipelineResultsError]

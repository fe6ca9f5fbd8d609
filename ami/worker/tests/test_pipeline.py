"""What a worker author writes, and what becomes of it on the wire."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import ClassVar

import numpy as np
import pytest
from PIL import Image

from ami.ml.schemas import AlgorithmConfigResponse, PipelineResultsResponse
from ami.worker.boxes import Box
from ami.worker.errors import PipelineNotLoaded
from ami.worker.loading import load_pipelines
from ami.worker.pipeline import Classification, Found, LoadedImage, Pipeline, classifier, detector
from ami.worker.results import success


class TwoSteps(Pipeline):
    slug = "two_steps"
    name = "Two steps"
    algorithms: ClassVar[Sequence[AlgorithmConfigResponse]] = (
        detector("boxes", "Boxes"),
        classifier("moth_or_not", "Moth or not", ["moth", "other"]),
        classifier("species", "Species", ["Vanessa atalanta", "Vanessa cardui"], taxon_rank="SPECIES"),
    )

    def process_image(self, image: Image.Image) -> Sequence[Found]:
        moth = Classification("moth", [0.9, 0.1], algorithm="moth_or_not", terminal=False)
        species = Classification.from_logits(
            ["Vanessa atalanta", "Vanessa cardui"],
            np.array([0.0, 3.0], dtype=np.float32),
            algorithm="species",
        )
        return [Found((1, 2, 30, np.float32(40)), [moth, species], score=0.8)]


@pytest.fixture
def image() -> LoadedImage:
    return LoadedImage("77", "http://example.org/77.jpg", Image.new("RGB", (64, 48)))


def test_finds_become_the_result_of_the_contract(image: LoadedImage) -> None:
    pipeline = TwoSteps()
    result = success(pipeline, image, pipeline.process([image])[0], seconds=0.25)
    (detection,) = result.detections
    assert result.pipeline == "two_steps"
    assert (result.source_images[0].id, result.source_images[0].url) == ("77", image.url)
    assert detection.source_image_id == "77"
    assert detection.bbox is not None
    assert detection.bbox.model_dump() == {"x1": 1.0, "y1": 2.0, "x2": 30.0, "y2": 40.0}
    assert detection.algorithm.key == "boxes"
    moth, species = detection.classifications
    assert (moth.classification, moth.terminal, moth.algorithm.key) == ("moth", False, "moth_or_not")
    assert (species.classification, species.terminal) == ("Vanessa cardui", True)
    assert species.logits == [0.0, 3.0]
    assert sum(species.scores) == pytest.approx(1.0)
    assert detection.timestamp.tzinfo is not None
    assert abs(detection.timestamp - datetime.now(UTC)) < timedelta(minutes=1)


def test_result_survives_the_wire(image: LoadedImage) -> None:
    pipeline = TwoSteps()
    result = success(pipeline, image, pipeline.process([image])[0], seconds=0.25)
    assert PipelineResultsResponse.model_validate_json(result.model_dump_json(exclude_none=True)) == result


def test_large_logits_do_not_overflow() -> None:
    verdict = Classification.from_logits(["a", "b"], [1000.0, 998.0])
    assert verdict.label == "a"
    assert verdict.scores[0] == pytest.approx(0.8808, abs=1e-4)


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (Found((5, 5, 5, 9)), "x1 < x2"),
        (Found((0, 0, float("nan"), 9)), "nan"),
        (Found((0, 0, 4, 4), [Classification("moth", [0.9], algorithm="moth_or_not")]), "2 labels"),
        (Found((0, 0, 4, 4), [Classification("moth", [0.9, 0.1])]), "moth_or_not, species"),
        (Found((0, 0, 4, 4), [Classification("moth", [float("inf"), 0.1], algorithm="species")]), "finite"),
    ],
)
def test_nonsense_is_refused_with_a_sentence(image: LoadedImage, found: Found, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        success(TwoSteps(), image, [found], seconds=0.1)


def test_announcement_lists_the_classes_in_the_order_of_the_scores() -> None:
    config = TwoSteps().announcement()
    assert [algorithm.task_type for algorithm in config.algorithms] == [
        "localization",
        "classification",
        "classification",
    ]
    categories = config.algorithms[2].category_map
    assert categories is not None
    assert categories.labels == ["Vanessa atalanta", "Vanessa cardui"]
    assert categories.data[1] == {"index": 1, "label": "Vanessa cardui", "taxon_rank": "SPECIES"}


def test_pipeline_needs_exactly_one_detector() -> None:
    class Blind(TwoSteps):
        algorithms: ClassVar[Sequence[AlgorithmConfigResponse]] = TwoSteps.algorithms[1:]

    with pytest.raises(ValueError, match="exactly one detection algorithm"):
        Blind().announcement()


def test_pipeline_without_process_says_what_is_missing(image: LoadedImage) -> None:
    class Lazy(Pipeline):
        slug = "lazy"

    with pytest.raises(NotImplementedError, match="Lazy needs process_image"):
        Lazy().process([image])


def test_built_in_pipelines_are_loaded_by_slug() -> None:
    assert [pipeline.slug for pipeline in load_pipelines([], [])] == ["light_trap_contours"]
    with pytest.raises(PipelineNotLoaded, match="no pipeline moths; known are: light_trap_contours"):
        load_pipelines([], ["moths"])


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("moths", "module:Class"),
        ("no_such_module:Moths", "Cannot import no_such_module"),
        ("json:Moths", "no class Moths"),
        ("ami.worker.boxes:Box", "no class Box that is a Pipeline"),
        ("ami.worker.pipeline:Pipeline", "not complete"),
    ],
)
def test_own_pipeline_that_cannot_be_loaded_says_why(name: str, words: str) -> None:
    with pytest.raises(PipelineNotLoaded, match=words):
        load_pipelines([name], [])


def test_boxes_overlap_as_they_should() -> None:
    box = Box(0, 0, 10, 10)
    assert box.iou(box) == 1.0
    assert box.iou(Box(10, 0, 20, 10)) == 0.0
    assert box.iou(Box(5, 0, 15, 10)) == pytest.approx(1 / 3)

"""What a worker author writes: a subclass of `Pipeline` that says what is on an image.

The smallest pipeline gives `slug`, `name`, `algorithms` and `process_image`. Load weights in `setup`, which
runs once before the first image. Override `process` and not `process_image` when the GPU wants whole batches.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, SupportsFloat

import numpy as np
import numpy.typing as npt
from PIL import Image

from ami.ml.schemas import (
    AlgorithmCategoryMapResponse,
    AlgorithmConfigResponse,
    AlgorithmReference,
    PipelineConfigResponse,
)
from ami.worker.boxes import Box

DETECTION_TASKS = frozenset({"detection", "localization", "segmentation"})


@dataclass(frozen=True, slots=True)
class LoadedImage:
    """One image of a batch, downloaded and decoded."""

    id: str
    url: str
    image: Image.Image
    """RGB, at full size; boxes are in its pixels."""
    config: dict[str, Any] = field(default_factory=dict)
    """Settings of this pipeline for the image's project."""

    @property
    def array(self) -> npt.NDArray[np.uint8]:
        """Height x width x 3, RGB, 0 to 255."""
        return np.asarray(self.image)


@dataclass(frozen=True, slots=True)
class Classification:
    """One classifier's verdict: the label it chose, and the scores of all its labels in their order."""

    label: str
    scores: Sequence[SupportsFloat]
    logits: Sequence[SupportsFloat] | None = None
    algorithm: str | None = None
    """Key of the classifier; not needed when the pipeline has only one."""
    terminal: bool = True
    """False for a step on the way, such as moth or not."""

    @classmethod
    def from_logits(
        cls,
        labels: Sequence[str],
        logits: Sequence[float] | npt.NDArray[np.floating[Any]],
        *,
        algorithm: str | None = None,
        terminal: bool = True,
    ) -> Classification:
        """The most likely label, with softmax scores: what the last layer of a network gives."""
        values = np.asarray(logits, dtype=np.float64)
        powers = np.exp(values - values.max())
        scores = powers / powers.sum()
        return cls(labels[int(scores.argmax())], scores.tolist(), values.tolist(), algorithm, terminal)


@dataclass(frozen=True, slots=True)
class Found:
    """One thing found on an image."""

    box: Box | Sequence[SupportsFloat]
    """x1, y1, x2, y2 in pixels of the full image."""
    classifications: Sequence[Classification] = ()
    score: float | None = None
    """How sure the detector is; drawn on pictures, not part of the wire contract."""

    @property
    def bounds(self) -> Box:
        """The box as a `Box`."""
        return self.box if isinstance(self.box, Box) else Box(*(float(edge) for edge in self.box))


def detector(key: str, name: str, *, description: str | None = None) -> AlgorithmConfigResponse:
    """Announce the algorithm that finds boxes; a pipeline has exactly one."""
    return AlgorithmConfigResponse(key=key, name=name, description=description, task_type="localization")


def classifier(
    key: str,
    name: str,
    labels: Sequence[str],
    *,
    description: str | None = None,
    taxon_rank: str | None = None,
) -> AlgorithmConfigResponse:
    """Announce an algorithm that names what is in a box; `labels` in the order of its scores."""
    rank = {} if taxon_rank is None else {"taxon_rank": taxon_rank}
    categories = AlgorithmCategoryMapResponse(
        data=[{"index": index, "label": label, **rank} for index, label in enumerate(labels)],
        labels=list(labels),
    )
    return AlgorithmConfigResponse(
        key=key,
        name=name,
        description=description,
        task_type="classification",
        category_map=categories,
    )


class Pipeline:
    """Base class of all pipelines."""

    slug: ClassVar[str]
    """The name on the wire, such as `moths_2026`; a job names its pipeline by it."""
    name: ClassVar[str]
    description: ClassVar[str | None] = None
    version: ClassVar[int] = 1
    algorithms: ClassVar[Sequence[AlgorithmConfigResponse]]
    """One detector and any number of classifiers, in the order in which they run."""

    def setup(self) -> None:
        """Load weights and warm up; runs once, before the first image, in the thread that processes."""

    def process_image(self, image: Image.Image) -> Sequence[Found]:
        """What is on one RGB image. Raise anything to report the image as failed."""
        raise NotImplementedError(f"{type(self).__name__} needs process_image(image) or process(images)")

    def process(self, images: Sequence[LoadedImage]) -> Sequence[Sequence[Found]]:
        """What is on each image of a batch, in the order of the images.

        When this raises, the images of the batch are tried again one by one, so that only the culprit fails.
        """
        return [self.process_image(image.image) for image in images]

    @property
    def detector(self) -> AlgorithmReference:
        """The one algorithm that finds boxes; raises ValueError if there is none, or several."""
        found = [config for config in self.algorithms if config.task_type in DETECTION_TASKS]
        if len(found) != 1:
            raise ValueError(
                f"Pipeline {self.slug} must have exactly one detection algorithm in `algorithms`; "
                f"it has {len(found)}"
            )
        return AlgorithmReference(name=found[0].name, key=found[0].key)

    def classifier(self, key: str | None = None) -> AlgorithmConfigResponse:
        """The classifier with this key, or the only one; raises ValueError if that is not clear."""
        known = [config for config in self.algorithms if config.task_type not in DETECTION_TASKS]
        fitting = [config for config in known if key is None or config.key == key]
        if len(fitting) != 1:
            names = ", ".join(config.key for config in known) or "none"
            raise ValueError(f"Pipeline {self.slug} has no single classifier {key or ''}; it has: {names}")
        return fitting[0]

    @property
    def known_labels(self) -> list[str]:
        """The labels of all classifiers, in the order in which they were announced."""
        maps = [config.category_map for config in self.algorithms if config.category_map]
        return [label for category_map in maps for label in category_map.labels]

    def announcement(self) -> PipelineConfigResponse:
        """The pipeline as it is registered with a project."""
        _ = self.detector
        return PipelineConfigResponse(
            name=self.name,
            slug=self.slug,
            version=self.version,
            description=self.description,
            algorithms=list(self.algorithms),
        )

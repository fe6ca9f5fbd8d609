"""What a worker in the field registers and predicts: bodies in the form in which they were recorded."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from PIL import Image

from ami.tests.contract.answers import Task
from ami.tests.contract.worker import now

DETECTOR = {
    "name": "FasterRCNN for AMI Moth Traps 2023",
    "key": "fasterrcnn_for_ami_moth_traps_2023",
}
BINARY = {"name": "Moth / Non-Moth Classifier", "key": "moth_nonmoth_classifier"}
SPECIES = {"name": "Panama Species Classifier 2024", "key": "panama_species_classifier_2024"}
SPECIES_LABELS = ["Vanessa atalanta", "Vanessa cardui", "Idia aemula", "Idia lubricalis", "Noctua pronuba"]
SLUG = "panama_moths_2024"
SLUGS = [SLUG, "moth_binary", "insect_orders_2025", *(f"region_{n}_moths_2024" for n in range(1, 8))]
"""Ten pipelines, as many as a worker always registers."""


def registration(
    name: str, slugs: Sequence[str] = SLUGS, species_labels: Sequence[str] = SPECIES_LABELS
) -> dict[str, Any]:
    """The whole body: ten pipelines, of which the algorithms repeat."""
    return {
        "processing_service_name": name,
        "pipelines": [pipeline(slug, species_labels) for slug in slugs],
    }


def pipeline(slug: str, species_labels: Sequence[str] = SPECIES_LABELS) -> dict[str, Any]:
    """A pipeline; those for species have three algorithms, the others two."""
    algorithms = [
        algorithm(DETECTOR, "localization", [], ""),
        algorithm(BINARY, "classification", ["moth", "nonmoth"], "SUPERFAMILY"),
    ]
    if slug.endswith("moths_2024"):
        algorithms.append(algorithm(SPECIES, "classification", species_labels, "SPECIES"))
    return {
        "name": slug.replace("_", " ").title(),
        "slug": slug,
        "version": 1,
        "description": "",
        "algorithms": algorithms,
        "stages": [],
    }


def algorithm(reference: dict[str, str], task_type: str, labels: Sequence[str], rank: str) -> dict[str, Any]:
    """An algorithm; the detector's category map is empty and not null."""
    return {
        **reference,
        "description": "As trained.",
        "task_type": task_type,
        "version": 1,
        "version_name": None,
        "uri": "https://models.example.org/weights.pth",
        "category_map": {
            "data": [
                {"index": index, "label": label, "taxon_rank": rank} for index, label in enumerate(labels)
            ],
            "labels": list(labels),
            "version": None,
            "description": None,
            "uri": "https://models.example.org/labels.json",
        },
    }


def detection(classifications: Sequence[dict[str, Any]], x: float = 125.0) -> dict[str, Any]:
    """A box in whole pixels, written as floats."""
    return {
        "bbox": {"x1": x, "y1": 53.0, "x2": x + 64.0, "y2": 101.0},
        "inference_time": 0.0,
        "algorithm": DETECTOR,
        "timestamp": now(),
        "crop_image_url": None,
        "classifications": list(classifications),
    }


def classification(
    label: str, reference: dict[str, str], scores: Sequence[float], *, terminal: bool
) -> dict[str, Any]:
    """A verdict with scores and logits in full length; labels are always null."""
    return {
        "classification": label,
        "labels": None,
        "scores": list(scores),
        "logits": [4.0 * score for score in scores],
        "inference_time": 0.0,
        "algorithm": reference,
        "terminal": terminal,
        "timestamp": now(),
    }


def moth() -> dict[str, Any]:
    """A moth: one verdict on the way, one that ends it."""
    return detection(
        [
            classification("moth", BINARY, [0.966, 0.034], terminal=False),
            classification("Vanessa atalanta", SPECIES, [0.9, 0.05, 0.02, 0.02, 0.01], terminal=True),
        ]
    )


def non_moth() -> dict[str, Any]:
    """Anything else: the one verdict does not end it."""
    return detection([classification("nonmoth", BINARY, [0.1, 0.9], terminal=False)], x=300.0)


def see_by_turns(task: Task, _image: Image.Image) -> list[dict[str, Any]]:
    """A moth, a moth and another insect, or nothing: by the image's number."""
    return [[moth()], [moth(), non_moth()], []][int(task.image_id) % 3]

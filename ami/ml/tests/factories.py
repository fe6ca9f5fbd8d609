"""Models, services and announcements for tests."""

from __future__ import annotations

from itertools import count
from typing import Any

from ami.main.models import Project
from ami.ml.models import Algorithm, AlgorithmCategoryMap, Pipeline, ProcessingService, ProjectPipelineConfig

_numbers = count(1)
DETECTOR_KEY = "fasterrcnn_for_ami_moth_traps_2023"


def make_algorithm(**fields: Any) -> Algorithm:
    """A detector, or what the fields say."""
    number = next(_numbers)
    return Algorithm.objects.create(
        **{"name": f"Algorithm {number}", "key": f"algorithm_{number}", "task_type": "localization", **fields}
    )


def make_category_map(*labels: str) -> AlgorithmCategoryMap:
    """A map of these labels."""
    return AlgorithmCategoryMap.objects.create(
        labels=list(labels), data=[{"index": number, "label": label} for number, label in enumerate(labels)]
    )


def make_pipeline(*projects: Project, algorithms: list[Algorithm] | None = None, **fields: Any) -> Pipeline:
    """A pipeline that is enabled in these projects."""
    number = next(_numbers)
    pipeline = Pipeline.objects.create(
        **{"name": f"Pipeline {number}", "slug": f"pipeline_{number}", **fields}
    )
    pipeline.algorithms.set(algorithms or [])
    for project in projects:
        ProjectPipelineConfig.objects.create(project=project, pipeline=pipeline)
    return pipeline


def make_service(project: Project, *pipelines: Pipeline, **fields: Any) -> ProcessingService:
    """A pull service of a project."""
    service = ProcessingService.objects.create(**{"name": f"Service {next(_numbers)}", **fields})
    service.projects.add(project)
    service.pipelines.set(pipelines)
    return service


def detector(**fields: Any) -> dict[str, Any]:
    """A detector as the existing worker announces it: its category map is there, and empty."""
    return {
        "name": "FasterRCNN for AMI Moth Traps 2023",
        "key": DETECTOR_KEY,
        "description": "Finds moths.",
        "task_type": "localization",
        "version": 1,
        "version_name": None,
        "uri": "https://models.example.org/detector",
        "category_map": {"data": [], "labels": [], "version": None, "description": None, "uri": None},
        **fields,
    }


def classifier(
    key: str = "moth_nonmoth_classifier", labels: tuple[str, ...] = ("moth", "nonmoth"), **fields: Any
) -> dict[str, Any]:
    """A classifier as the existing worker announces it."""
    return {
        "name": key.replace("_", " ").title(),
        "key": key,
        "description": None,
        "task_type": "classification",
        "version": 1,
        "version_name": None,
        "uri": None,
        "category_map": {
            "data": [
                {"index": number, "label": label, "taxon_rank": "SUPERFAMILY"}
                for number, label in enumerate(labels)
            ],
            "labels": list(labels),
            "version": None,
            "description": None,
            "uri": None,
        },
        **fields,
    }


def announcement(
    slug: str = "moth_binary", algorithms: list[dict[str, Any]] | None = None, **fields: Any
) -> dict[str, Any]:
    """A pipeline as the existing worker announces it."""
    return {
        "name": slug.replace("_", " ").title(),
        "slug": slug,
        "version": 1,
        "description": None,
        "algorithms": [detector(), classifier()] if algorithms is None else algorithms,
        "stages": [],
        **fields,
    }

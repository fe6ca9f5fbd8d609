"""Which captures a job leaves out because its pipeline has done them: the skip rules of contract 3.3, in SQL.

A capture is done when the pipeline's algorithms looked and found nothing, or when each box that they found
has a name, and each classifier of the pipeline named one. So a new classifier brings the captures back. With
a pipeline without classifiers, and in projects with the flag `reprocess_all_images`, nothing is left out.
"""

from __future__ import annotations

from typing import Any

from ami.jobs.models import Job

# `c.id` is the capture. All of it is answered along indexes that begin with the capture or the detection.
_TO_DO = """(
NOT EXISTS (SELECT 1 FROM ml_detection d
    WHERE d.source_image_id = c.id AND d.detection_algorithm_id = ANY(%(algorithms)s))
OR EXISTS (SELECT 1 FROM ml_detection d
    WHERE d.source_image_id = c.id AND d.detection_algorithm_id = ANY(%(algorithms)s) AND d.x1 IS NOT NULL
        AND NOT EXISTS (SELECT 1 FROM ml_classification k WHERE k.detection_id = d.id))
OR (EXISTS (SELECT 1 FROM ml_detection d
        WHERE d.source_image_id = c.id AND d.detection_algorithm_id = ANY(%(algorithms)s)
            AND d.x1 IS NOT NULL)
    AND EXISTS (SELECT 1 FROM unnest(%(classifiers)s::bigint[]) AS wanted(id) WHERE NOT EXISTS (
        SELECT 1 FROM ml_detection d JOIN ml_classification k ON k.detection_id = d.id
        WHERE d.source_image_id = c.id AND d.detection_algorithm_id = ANY(%(algorithms)s)
            AND d.x1 IS NOT NULL AND k.algorithm_id = wanted.id))))"""


def to_do(job: Job) -> tuple[str, dict[str, Any]]:
    """The condition that the capture `c` is still to be done, with its parameters."""
    if job.project.feature_flags["reprocess_all_images"] or job.pipeline is None:
        return "true", {}
    algorithms = list(job.pipeline.algorithms.all())
    classifiers = [algorithm.pk for algorithm in algorithms if not algorithm.detects]
    if not classifiers:
        return "true", {}
    return _TO_DO, {
        "algorithms": [algorithm.pk for algorithm in algorithms],
        "classifiers": classifiers,
    }

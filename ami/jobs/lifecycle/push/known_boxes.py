"""Boxes that are known already and go along with a request, so that only what is new is computed.

For projects with the flag `reprocess_existing_detections`, unless the pipeline's settings say
`reprocess_existing_detections: false` (contract 1.11). The service gives them back with its names for them.
"""

from __future__ import annotations

from typing import Any

from ami.base.database import rows
from ami.jobs.lifecycle.push.batches import Batch
from ami.jobs.models import Job
from ami.ml.pipeline_configs import TravellingConfig

SETTING = "reprocess_existing_detections"

_BOXES = """SELECT d.source_image_id, d.x1, d.y1, d.x2, d.y2, d.path, a.name, a.key
FROM ml_detection d JOIN ml_algorithm a ON a.id = d.detection_algorithm_id
JOIN ml_pipeline_algorithms p ON p.algorithm_id = a.id AND p.pipeline_id = %s
WHERE d.source_image_id = ANY(%s) AND d.x1 IS NOT NULL ORDER BY d.source_image_id, d.id"""


def known_boxes(job: Job, config: TravellingConfig, batch: Batch) -> list[dict[str, Any]]:
    """What the pipeline's detectors found on these images before, as the wire has it. One query.

    `job` comes with its project.
    """
    if not job.project.feature_flags["reprocess_existing_detections"] or config.config.get(SETTING) is False:
        return []
    urls = {image.lease.image_id: image.url for image in batch}
    return [
        {
            "source_image": {"id": str(image), "url": urls[image]},
            "bbox": {"x1": x1, "y1": y1, "x2": x2, "y2": y2},
            "crop_image_url": path or None,
            "algorithm": {"name": name, "key": key},
        }
        for image, x1, y1, x2, y2, path, name, key in rows(_BOXES, [job.pipeline_id, list(urls)])
    ]

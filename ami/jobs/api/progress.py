"""A job's progress in the contract's shape, rendered from its stage rows."""

from __future__ import annotations

from typing import Any

from ami.jobs.models import Job
from ami.jobs.progress import overall


def render_progress(job: Job) -> dict[str, Any]:
    """Summary, stages, and what health checks noticed. Reads `job.stages` (prefetch it in lists)."""
    stages = sorted(job.stages.all(), key=lambda stage: stage.position)
    return {
        "summary": {"status": job.status, "progress": overall([stage.progress for stage in stages])},
        "stages": [
            {
                "status": stage.status,
                "progress": stage.progress,
                "key": stage.key,
                "name": stage.name,
                "params": stage.params,
            }
            for stage in stages
        ],
        "errors": job.diagnostics,
        "logs": [],
    }

"""Who may run, repeat and cancel a job: whoever holds the permission of its type, such as `run_ml_job`."""

from __future__ import annotations

from ami.jobs.models import Job
from ami.main.api.access import Access


def may_run(access: Access, job: Job) -> bool:
    """Whether the person may; over a single capture a weaker permission is enough."""
    names = [f"run_{job.job_type_key}_job"]
    if job.source_image_single_id is not None:
        names.append(f"run_single_image_{job.job_type_key}_job")
    return any(access.may(name, job.project_id) for name in names)

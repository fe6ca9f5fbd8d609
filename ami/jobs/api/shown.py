"""Jobs with everything that their JSON shows, in two queries however many there are."""

from __future__ import annotations

from django.db.models import QuerySet
from rest_framework.exceptions import NotFound

from ami.jobs.models import Job


def with_parts(jobs: QuerySet[Job]) -> QuerySet[Job]:
    """With the objects that a job names, and its stages."""
    return jobs.select_related(
        "project",
        "deployment",
        "source_image_collection",
        "source_image_single__data_source",
        "pipeline",
        "data_export",
    ).prefetch_related("stages")


def shown_job(job_id: int) -> Job:
    """One job as it is now. Raises a 404 if it was deleted meanwhile."""
    job = with_parts(Job.objects.all()).filter(pk=job_id).first()
    if job is None:
        raise NotFound("Not found.")
    return job

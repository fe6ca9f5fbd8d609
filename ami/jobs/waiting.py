"""Why nobody works on a job: a sentence for people."""

from __future__ import annotations

from ami.base import clock
from ami.base.database import rows
from ami.jobs.models import Job
from ami.jobs.states import SERVING, DispatchMode
from ami.ml.models import ProcessingService
from ami.ml.models.processing_service import ONLINE_FOR

LATELY_SECONDS = 120.0
NAMED = 3
"""Services that a sentence names."""

_IN_HAND = """SELECT EXISTS (SELECT 1 FROM jobs_jobtask WHERE job_id = %(job)s AND (status = 1
    OR leased_until > clock_timestamp()
    OR finished_at > clock_timestamp() - make_interval(secs => %(lately)s)))"""


def why_it_waits(job: Job) -> str:
    """What has to happen before this job goes on; empty while somebody works on it, or before it started.

    `job` comes with its pipeline and project.
    """
    if job.status not in SERVING or job.pipeline is None:
        return ""
    if rows(_IN_HAND, {"job": job.pk, "lately": LATELY_SECONDS})[0][0]:
        return ""
    return lack_of_workers(job)


def lack_of_workers(job: Job) -> str:
    """Why no worker asks for its images; empty if one may. `job` comes with its pipeline and project."""
    if job.pipeline is None:
        return "it has no pipeline any more."
    if job.dispatch_mode == DispatchMode.SYNC_API:
        return lack_of_services(job)
    if not job.project.active:
        return "its project is switched off (not active), so workers do not get its images."
    services = ProcessingService.objects.pulling().filter(projects=job.project_id, pipelines=job.pipeline_id)
    if not services.exists():
        return f"waiting for workers: none has registered the pipeline {job.pipeline.slug} in this project."
    if not services.filter(last_seen_live=True, last_seen__gt=clock.now() - ONLINE_FOR).exists():
        return f"waiting for workers: none online for pipeline {job.pipeline.slug}."
    return ""


def lack_of_services(job: Job) -> str:
    """Why its images can be pushed to nobody; empty if they can. `job` comes with its pipeline."""
    slug = job.pipeline.slug if job.pipeline else ""
    services = ProcessingService.objects.pushed_to().filter(
        projects=job.project_id, pipelines=job.pipeline_id
    )
    if services.filter(last_seen_live=True).exists():
        return ""
    names = list(services.values_list("name", flat=True)[:NAMED])
    if not names:
        return f"waiting for a push service: none offers the pipeline {slug} in this project."
    return f"waiting for a push service: none online for pipeline {slug} ({', '.join(names)})."

"""What is told about a job that ended."""

from __future__ import annotations

from typing import Any

from django.conf import settings

from ami.jobs import ledger
from ami.jobs.models import Job, Notification

EVENT = "job.ended"


def payload_of(notification: Notification, job: Job) -> dict[str, Any]:
    """The words of a notification, which stay the same in all of its tries.

    The figures are those of the run that ended: none, if the job was started again meanwhile.
    """
    counts = ledger.count(job.pk) if job.run == notification.run and job.pipeline_id else None
    base = settings.EXTERNAL_BASE_URL.rstrip("/")
    return {
        "type": EVENT,
        "timestamp": notification.created_at.isoformat(),
        "data": {
            "job": {
                "id": job.pk,
                "name": job.name,
                "type": job.job_type_key,
                "status": notification.job_status,
                "run": notification.run,
                "started_at": _iso(job.started_at) if job.run == notification.run else None,
                "finished_at": _iso(job.finished_at) if job.run == notification.run else None,
                "url": f"{base}/api/v2/jobs/{job.pk}/" if base else None,
            },
            "project": {"id": job.project_id, "name": job.project.name},
            "pipeline": job.pipeline.slug if job.pipeline else None,
            "images": None
            if counts is None
            else {
                "total": counts.total,
                "processed": counts.processed,
                "failed": counts.failed,
                "cancelled": counts.cancelled,
            },
        },
    }


def _iso(moment: Any) -> str | None:
    return moment.isoformat() if moment else None

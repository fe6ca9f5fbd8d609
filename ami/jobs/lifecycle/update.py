"""update: what may still change in a job. Once it was submitted, what it works on is fixed."""

from __future__ import annotations

from typing import Any

from django.db import transaction

from ami.base.errors import InvalidInput
from ami.jobs.lifecycle.create import check_belongs, dispatch_mode_for, write_stages
from ami.jobs.models import Job
from ami.jobs.states import JobState

FIXED_ONCE_SUBMITTED = (
    "project",
    "pipeline",
    "source_image_collection",
    "source_image_single",
    "deployment",
    "limit",
    "shuffle",
    "delay",
    "job_type_key",
)


def update_job(job: Job, **changes: Any) -> Job:
    """Change fields of a job. Raises InvalidInput for what cannot change any more, or never could."""
    changed = {name: value for name, value in changes.items() if getattr(job, name) != value}
    if "project" in changed:
        raise InvalidInput("A job cannot move to another project; create it there.")
    with transaction.atomic():
        current = Job.objects.select_for_update(of=("self",)).get(pk=job.pk)
        fixed = [name for name in FIXED_ONCE_SUBMITTED if name in changed]
        if fixed and current.status != JobState.CREATED:
            raise InvalidInput(f"This job was submitted already: {', '.join(fixed)} cannot change any more.")
        for name, value in changed.items():
            setattr(current, name, value)
        check_belongs(
            current.project,
            pipeline=current.pipeline if "pipeline" in changed else None,
            source_image_collection=current.source_image_collection,
            source_image_single=current.source_image_single,
            deployment=current.deployment,
        )
        fields = [*changed, "updated_at"]
        if "pipeline" in changed:
            current.dispatch_mode = dispatch_mode_for(current.project, current.pipeline)
            fields.append("dispatch_mode")
        current.save(update_fields=fields)
        if changed.keys() & {"pipeline", "delay"}:
            write_stages(current)
    return current

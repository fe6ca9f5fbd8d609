"""create: write the job and its empty stages; everything it names belongs to its project."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.db import transaction

from ami.base.errors import InvalidInput
from ami.jobs.lifecycle import kinds
from ami.jobs.models import Job, JobStage
from ami.jobs.models.job import PRIORITY_DEFAULT
from ami.jobs.progress import Stage, new_ml_stages
from ami.jobs.states import DispatchMode
from ami.main.models import Deployment, Project, SourceImage, SourceImageCollection
from ami.ml.models import Pipeline
from ami.users.models import User


def create_job(
    *,
    name: str,
    project: Project,
    pipeline: Pipeline | None = None,
    source_image_collection: SourceImageCollection | None = None,
    source_image_single: SourceImage | None = None,
    deployment: Deployment | None = None,
    job_type_key: str = "ml",
    delay: int = 0,
    limit: int | None = None,
    shuffle: bool = True,
    priority: int = PRIORITY_DEFAULT,
    params: dict[str, Any] | None = None,
    created_by: User | None = None,
    notify_by_email: bool = False,
) -> Job:
    """A new job in state CREATED; nothing runs yet. `params`: of an internal job, as its kind wants them.

    Raises InvalidInput when something it names is of another project or not enabled there.
    """
    check_belongs(
        project,
        pipeline=pipeline,
        source_image_collection=source_image_collection,
        source_image_single=source_image_single,
        deployment=deployment,
    )
    with transaction.atomic():
        job = Job.objects.create(
            name=name,
            project=project,
            pipeline=pipeline,
            source_image_collection=source_image_collection,
            source_image_single=source_image_single,
            deployment=deployment,
            job_type_key=job_type_key,
            delay=delay,
            limit=limit,
            shuffle=shuffle,
            priority=priority,
            params=params or {},
            created_by=created_by,
            notify_by_email=notify_by_email,
            dispatch_mode=dispatch_mode_for(project, pipeline),
        )
        write_stages(job)
    return job


def write_stages(job: Job) -> None:
    """Give a job that has not begun its empty stages, in place of those it has. Safe to run twice."""
    job.stages.all().delete()
    JobStage.objects.bulk_create(
        JobStage(
            job=job,
            position=position,
            key=stage.key,
            name=stage.name,
            params=[figure.as_wire() for figure in stage.figures],
        )
        for position, stage in enumerate(_new_stages(job))
    )


def begin_again(job: Job) -> None:
    """Take an internal job back to its beginning. Call inside the transaction that reopens it."""
    write_stages(job)
    Job.objects.filter(pk=job.pk).update(work={}, collected_at=None)


def _new_stages(job: Job) -> Sequence[Stage]:
    if job.pipeline_id is not None:
        return new_ml_stages(job.delay)
    kind = kinds.find(job.job_type_key)
    return kind.stages if kind else ()


def check_belongs(
    project: Project,
    *,
    pipeline: Pipeline | None,
    source_image_collection: SourceImageCollection | None,
    source_image_single: SourceImage | None,
    deployment: Deployment | None,
) -> None:
    """Refuse what is not the project's own. Raises InvalidInput with a sentence that names it."""
    parts: list[tuple[str, SourceImageCollection | SourceImage | Deployment | None]] = [
        ("capture set", source_image_collection),
        ("capture", source_image_single),
        ("deployment", deployment),
    ]
    for word, part in parts:
        if part is not None and part.project_id != project.pk:
            raise InvalidInput(f"The {word} {part.pk} does not belong to the project {project.pk}.")
    if (
        pipeline is not None
        and not pipeline.project_pipeline_configs.filter(project=project, enabled=True).exists()
    ):
        raise InvalidInput(f"The pipeline {pipeline.pk} is not enabled in the project {project.pk}.")


def dispatch_mode_for(project: Project, pipeline: Pipeline | None) -> DispatchMode:
    """Who will work on the images: pull workers unless the project switched them off."""
    if pipeline is None:
        return DispatchMode.INTERNAL
    if project.feature_flags["async_pipeline_workers"]:
        return DispatchMode.ASYNC_API
    return DispatchMode.SYNC_API

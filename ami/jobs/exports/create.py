"""Create and delete exports; their jobs come and go with them."""

from __future__ import annotations

from typing import Any

from django.db import transaction

from ami.jobs.exports.scope import check_filters, make_scope
from ami.jobs.lifecycle.create import create_job
from ami.jobs.lifecycle.delete import delete_job
from ami.jobs.lifecycle.enqueue import run_job
from ami.jobs.models import DataExport, ExportFormat, Job
from ami.main.models import Project, SourceImageCollection
from ami.users.models import User

JOB_TYPE = "data_export"
_NAME_MAX = 255


@transaction.atomic
def create_export(
    *, project: Project, export_format: str, filters: Any, user: User | None, base_url: str
) -> DataExport:
    """A new export, and its job on the way. Raises InvalidInput for filters that name nothing of the project.

    `base_url`: scheme and host for the links in the file.
    """
    named = check_filters(filters)
    scope = make_scope(project, named)
    export = DataExport.objects.create(
        project=project, format=export_format, filters=named, user=user, base_url=base_url
    )
    capture_set = None
    if "collection_id" in named:
        capture_set = SourceImageCollection.objects.get(pk=named["collection_id"])
    job = create_job(
        name=f"Export of {scope.title} as {ExportFormat(export_format).label}"[:_NAME_MAX],
        project=project,
        source_image_collection=capture_set,
        job_type_key=JOB_TYPE,
        created_by=user,
    )
    Job.objects.filter(pk=job.pk).update(data_export=export)
    run_job(job)
    return export


def delete_export(export: DataExport) -> None:
    """Cancel and delete its job, then the export with its file. Safe to run twice."""
    job = Job.objects.filter(data_export=export).first()
    if job is not None:
        delete_job(job)
    DataExport.objects.filter(pk=export.pk).delete()

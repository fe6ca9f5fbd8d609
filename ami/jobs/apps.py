"""Jobs: orchestration, the top of the domain."""

from collections.abc import Sequence
from typing import Any

from django.apps import AppConfig
from django.db.models.signals import post_delete


class JobsConfig(AppConfig):
    """Jobs and their ledger."""

    name = "ami.jobs"
    label = "jobs"
    verbose_name = "Jobs"

    def ready(self) -> None:
        """Install dispatcher and kinds, and hear of deletions: what jobs depend on must not know jobs."""
        from ami.base.deletion import before_deletion, deletion_began  # noqa: PLC0415 - models exist only now
        from ami.jobs import tasks  # noqa: F401, PLC0415 - installs the dispatcher
        from ami.jobs.models import DataExport  # noqa: PLC0415
        from ami.jobs.types import register_all  # noqa: PLC0415

        register_all()
        before_deletion.connect(_let_go_of_jobs, dispatch_uid="ami.jobs")
        post_delete.connect(_let_go_of_files, sender=DataExport, dispatch_uid="ami.jobs.exports")
        deletion_began.connect(_let_go_of_captures, dispatch_uid="ami.jobs")


def _let_go_of_jobs(sender: type[Any], keys: Sequence[int], **_: Any) -> None:
    from ami.jobs.lifecycle.delete import cancel_jobs_of_pipelines, delete_jobs_of  # noqa: PLC0415
    from ami.main.models import Deployment, Project  # noqa: PLC0415
    from ami.ml.models import Pipeline  # noqa: PLC0415

    if sender is Project:
        delete_jobs_of(project_id__in=keys)
    elif sender is Deployment:
        delete_jobs_of(deployment_id__in=keys)
    elif sender is Pipeline:
        cancel_jobs_of_pipelines(keys)


def _let_go_of_captures(sender: type[Any], keys: Sequence[int], **_: Any) -> None:
    from ami.jobs.lifecycle.delete import (  # noqa: PLC0415
        fail_tasks_of_deleted,
        fail_tasks_of_deleted_projects,
    )
    from ami.main.models import Project, SourceImage  # noqa: PLC0415

    if sender is SourceImage:
        fail_tasks_of_deleted(keys)
    elif sender is Project:
        fail_tasks_of_deleted_projects(keys)


def _let_go_of_files(instance: Any, **_: Any) -> None:
    from ami.jobs.exports.storage import remove_after_commit  # noqa: PLC0415

    remove_after_commit(instance)

"""Jobs: orchestration, the top of the domain."""

from typing import Any

from django.apps import AppConfig
from django.db.models.signals import pre_delete


class JobsConfig(AppConfig):
    """Jobs and their ledger."""

    name = "ami.jobs"
    label = "jobs"
    verbose_name = "Jobs"

    def ready(self) -> None:
        """Install the dispatcher, and hear of captures that are deleted: `main` must not know jobs."""
        from ami.jobs import tasks  # noqa: F401, PLC0415 - models exist only now; installs the dispatcher
        from ami.jobs.lifecycle.delete import fail_tasks_of_deleted  # noqa: PLC0415
        from ami.main.models import SourceImage  # noqa: PLC0415

        def before_capture_is_deleted(instance: SourceImage, **_: Any) -> None:
            fail_tasks_of_deleted([instance.pk])

        pre_delete.connect(
            before_capture_is_deleted, sender=SourceImage, weak=False, dispatch_uid="ami.jobs.capture_deleted"
        )

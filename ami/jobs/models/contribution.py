"""Who did how much of a job: a projection of the ledger, never the truth."""

from __future__ import annotations

from typing import Any, ClassVar

from django.db import models

from ami.jobs.models.job import Job


class JobContribution(models.Model):
    """What one worker did in one job; written together with the job's stages."""

    job = models.ForeignKey(Job, on_delete=models.CASCADE, related_name="contributions", db_index=False)
    instance: models.ForeignKey[Any, Any] = models.ForeignKey(
        "ml.WorkerInstance", on_delete=models.CASCADE, related_name="contributions", db_constraint=False
    )
    processed = models.PositiveIntegerField(default=0)
    failed = models.PositiveIntegerField(default=0)
    processing_ms = models.PositiveBigIntegerField(
        default=0, help_text="As the worker says, over its images."
    )

    class Meta:
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["job", "instance"], name="contribution_once"),
        ]

    def __str__(self) -> str:
        return f"worker {self.instance_id} in job {self.job_id}: {self.processed} processed"

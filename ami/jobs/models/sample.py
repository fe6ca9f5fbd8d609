"""How far a job was at moments of its run: what rates and charts are made of."""

from __future__ import annotations

from typing import ClassVar

from django.db import models

from ami.jobs.models.job import Job


class JobSample(models.Model):
    """Counts of the ledger at one moment. Written by `ami.jobs.lifecycle.samples` alone; never the truth."""

    id = models.BigAutoField(primary_key=True)
    job = models.ForeignKey(Job, on_delete=models.CASCADE, related_name="samples", db_index=False)
    at = models.DateTimeField()
    processed = models.PositiveIntegerField(help_text="Images whose predictions are saved.")
    failed = models.PositiveIntegerField()
    left = models.PositiveIntegerField(help_text="Images whose outcome is still unknown.")

    class Meta:
        indexes: ClassVar[list[models.Index]] = [
            models.Index(fields=["job", "-at"], name="sample_newest_first"),
            models.Index(fields=["at"], name="sample_lately"),
        ]

    def __str__(self) -> str:
        return f"job {self.job_id} at {self.at:%H:%M:%S}: {self.processed} processed"

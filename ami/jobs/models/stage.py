"""Stages of a job as people see them: a projection of the ledger, never the truth."""

from __future__ import annotations

from typing import ClassVar

from django.db import models

from ami.jobs.models.job import Job
from ami.jobs.states import JobState


class JobStage(models.Model):
    """One stage: its progress (0 to 1), its state, and its figures in the order in which they are shown."""

    job = models.ForeignKey(Job, on_delete=models.CASCADE, related_name="stages", db_index=False)
    position = models.PositiveSmallIntegerField()
    key = models.CharField(max_length=64)
    name = models.CharField(max_length=255)
    status = models.CharField(max_length=16, choices=JobState.choices, default=JobState.CREATED)
    progress = models.FloatField(default=0)
    params = models.JSONField(
        default=list, help_text="Figures: objects of name, key, category and value, in order."
    )

    class Meta:
        ordering: ClassVar[list[str]] = ["position"]
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["job", "key"], name="stage_once_per_job"),
        ]

    def __str__(self) -> str:
        return f"{self.name} of job {self.job_id}"

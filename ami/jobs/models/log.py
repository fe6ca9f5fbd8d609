"""Log lines of a job that people read; appended, never changed."""

from __future__ import annotations

from typing import ClassVar

from django.db import models

from ami.jobs.models.job import Job


class JobLog(models.Model):
    """One line. Written in batches by `ami.jobs.logs`."""

    id = models.BigAutoField(primary_key=True)
    job = models.ForeignKey(Job, on_delete=models.CASCADE, related_name="log_entries", db_index=False)
    level = models.CharField(max_length=16, default="INFO")
    message = models.TextField()
    context = models.JSONField(default=dict, blank=True)
    created_at = models.DateTimeField()

    class Meta:
        indexes: ClassVar[list[models.Index]] = [
            models.Index(fields=["job", "-created_at", "-id"], name="joblog_newest_first"),
        ]

    def __str__(self) -> str:
        return self.message

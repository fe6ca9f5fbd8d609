"""Attempts that ended badly: who tried, when, and what went wrong."""

from __future__ import annotations

from typing import ClassVar

from django.db import models

from ami.jobs.models.job import Job
from ami.jobs.states import ErrorCode


class Attempt(models.Model):
    """One failed attempt at one image; written once. A failed ledger row with these is a dead letter."""

    id = models.BigAutoField(primary_key=True)
    job = models.ForeignKey(Job, on_delete=models.CASCADE, related_name="attempts", db_index=False)
    image_id = models.BigIntegerField()
    run = models.PositiveIntegerField()
    attempt = models.PositiveIntegerField()
    worker = models.CharField(max_length=255, blank=True)
    instance_id = models.BigIntegerField(null=True)
    error_code = models.CharField(max_length=32, choices=ErrorCode.choices)
    error_text = models.TextField(blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["job", "image_id", "run", "attempt"], name="attempt_once"),
        ]

    def __str__(self) -> str:
        return f"attempt {self.attempt} at image {self.image_id} of job {self.job_id}"

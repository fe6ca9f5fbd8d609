"""What health checks did: a history that stays short, because quiet runs share a row."""

from __future__ import annotations

from typing import ClassVar

from django.db import models


class HealthReport(models.Model):
    """One run of a check that did something, or a row of runs that found nothing to do.

    Written by `ami.jobs.health.history` alone.
    """

    check_name = models.CharField("check", max_length=64)
    first_at = models.DateTimeField(help_text="When the first of these runs began.")
    last_at = models.DateTimeField(help_text="When the last of these runs began.")
    runs = models.PositiveIntegerField(default=1)
    seconds = models.FloatField(help_text="How long the last run took.")
    checked = models.PositiveIntegerField(help_text="Things that the last run looked at.")
    fixed = models.PositiveIntegerField()
    unfixable = models.PositiveIntegerField()
    error = models.TextField(blank=True, help_text="Why the check itself failed.")

    class Meta:
        ordering: ClassVar[list[str]] = ["-last_at", "-pk"]
        indexes: ClassVar[list[models.Index]] = [
            models.Index(fields=["check_name", "-last_at"], name="health_newest_of_check"),
            models.Index(fields=["-last_at", "-id"], name="health_newest_first"),
        ]

    def __str__(self) -> str:
        return f"{self.check_name} at {self.last_at:%Y-%m-%d %H:%M:%S}"

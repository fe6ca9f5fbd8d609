"""Data exports: what somebody wanted in a file, and the file."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import ClassVar

from django.conf import settings
from django.db import models

from ami.base.models import TimestampedModel
from ami.main.models import Project


class ExportFormat(models.TextChoices):
    """What the file looks like."""

    CSV = "csv", "CSV"
    JSONL = "jsonl", "JSON Lines"
    CAMTRAP_DP = "camtrap_dp", "Camtrap DP 1.0"


class DataExport(TimestampedModel):
    """One export. Its job (`job`) writes the file; until that is done there is none."""

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="exports"
    )
    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="exports")
    format = models.CharField(max_length=32, choices=ExportFormat.choices)
    filters = models.JSONField(
        default=dict,
        blank=True,
        help_text="`collection_id` or `job_id`: the captures of a set or a job; empty: of the project.",
    )
    base_url = models.CharField(
        max_length=255, blank=True, help_text="Address of the server, for links in the file."
    )
    file = models.CharField(
        max_length=255, blank=True, editable=False, help_text="Path in the media storage, once it is there."
    )
    rows_written = models.PositiveBigIntegerField(default=0, editable=False)
    size = models.PositiveBigIntegerField(default=0, editable=False, help_text="Bytes of the file.")

    class Meta:
        ordering: ClassVar[list[str]] = ["-created_at", "-pk"]

    def __str__(self) -> str:
        return f"export {self.pk} as {self.get_format_display()}"

    @property
    def filename(self) -> str:
        """What the file is called when somebody downloads it."""
        return PurePosixPath(self.file).name

    @property
    def signed_subject(self) -> str:
        """What the signature of a link to its file is about."""
        return f"export:{self.pk}"

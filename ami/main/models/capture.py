"""Captures: single images from camera stations (`SourceImage` on the wire)."""

from __future__ import annotations

from typing import ClassVar

from django.conf import settings
from django.db import models

from ami.base.deletion import AnnouncedModel
from ami.base.models import TimestampedModel
from ami.main.models.deployment import Deployment
from ami.main.models.event import Event
from ami.main.models.project import Project
from ami.main.models.storage import StorageSource


class SourceImage(AnnouncedModel, TimestampedModel):
    """One capture.

    Its bytes are at `public_base_url` + `path`; or, when that is empty, in its `data_source`; or, when there
    is none, in our own media storage under `path`. `ami.main.media` makes the URL.
    """

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="captures", db_index=False)
    deployment = models.ForeignKey(
        Deployment, on_delete=models.SET_NULL, null=True, blank=True, related_name="captures", db_index=False
    )
    event = models.ForeignKey(
        Event, on_delete=models.SET_NULL, null=True, blank=True, related_name="captures", db_index=False
    )
    data_source = models.ForeignKey(
        StorageSource,
        on_delete=models.RESTRICT,
        null=True,
        blank=True,
        related_name="captures",
        db_index=False,
    )
    path = models.CharField(max_length=1024, blank=True)
    public_base_url = models.CharField(
        max_length=1024,
        blank=True,
        help_text="Address of the folder that serves the file; empty: our storage.",
    )
    timestamp = models.DateTimeField(null=True, blank=True)
    width = models.PositiveIntegerField(null=True, blank=True)
    height = models.PositiveIntegerField(null=True, blank=True)
    size = models.BigIntegerField(null=True, blank=True, help_text="Bytes.")
    checksum = models.CharField(max_length=64, blank=True, help_text="SHA-256 of the file, hexadecimal.")
    test_image = models.BooleanField(default=False)

    class Meta:
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(
                fields=["deployment", "path"],
                condition=~models.Q(path="") & models.Q(deployment__isnull=False),
                name="capture_path_once_per_deployment",
            ),
        ]
        indexes: ClassVar[list[models.Index]] = [
            models.Index(fields=["project", "id"], name="capture_project_order"),
            models.Index(fields=["deployment", "id"], name="capture_deployment_order"),
            models.Index(fields=["project", "timestamp"]),
            models.Index(fields=["deployment", "timestamp"]),
            models.Index(fields=["event", "timestamp"], name="capture_event_order"),
            models.Index(
                fields=["data_source"],
                condition=models.Q(data_source__isnull=False),
                name="capture_data_source",
            ),
        ]

    def __str__(self) -> str:
        return self.path or f"capture {self.pk}"


class SourceImageUpload(TimestampedModel):
    """A person's upload of one image, which became a capture."""

    image = models.ImageField(upload_to="uploads/%Y/%m/%d/")
    deployment = models.ForeignKey(Deployment, on_delete=models.CASCADE, related_name="uploads")
    source_image = models.OneToOneField(
        SourceImage, on_delete=models.CASCADE, null=True, related_name="upload"
    )
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True)

    def __str__(self) -> str:
        return self.image.name or ""

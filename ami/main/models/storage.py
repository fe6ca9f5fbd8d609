"""Where captures lie that are not in our own media storage (`S3StorageSource` on the wire)."""

from __future__ import annotations

from typing import ClassVar

from django.db import models

from ami.base.models import TimestampedModel
from ami.main.models.project import Project


class StorageKind(models.TextChoices):
    """What kind of place it is."""

    S3 = "s3", "S3 bucket"
    FOLDER = "folder", "Folder on the server"


class StorageSource(TimestampedModel):
    """A bucket, or a folder on the server, that stations of a project deliver to.

    The keys of a bucket are sealed (`ami.main.storage.secrets`), and nothing shows them again.
    """

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="storage_sources")
    name = models.CharField(max_length=255)
    kind = models.CharField(max_length=16, choices=StorageKind.choices, default=StorageKind.S3)
    bucket = models.CharField(max_length=255, blank=True)
    prefix = models.CharField(max_length=1024, blank=True, help_text="The part of the bucket that counts.")
    region = models.CharField(max_length=64, blank=True, help_text="Empty: us-east-1.")
    endpoint_url = models.CharField(
        max_length=1024, blank=True, help_text="Address of the S3 server; empty: Amazon's."
    )
    public_base_url = models.CharField(
        max_length=1024,
        blank=True,
        help_text="Address under which everybody may fetch the files; empty: signed links.",
    )
    access_key = models.TextField(blank=True, editable=False, help_text="Sealed.")
    secret_key = models.TextField(blank=True, editable=False, help_text="Sealed.")
    folder = models.CharField(
        max_length=1024, blank=True, help_text="A folder below one of STORAGE_FOLDERS, for the kind folder."
    )

    class Meta:
        ordering: ClassVar[list[str]] = ["name", "pk"]

    def __str__(self) -> str:
        return self.name

    @property
    def has_keys(self) -> bool:
        """Whether keys are kept for it."""
        return bool(self.access_key and self.secret_key)

    def uri(self, subdir: str = "") -> str:
        """Where it is, for people."""
        below = "/".join(part.strip("/") for part in (self.prefix, subdir) if part.strip("/"))
        if self.kind == StorageKind.FOLDER:
            return "/".join(part for part in (self.folder.rstrip("/"), below) if part)
        return f"s3://{self.bucket}/{below}"

"""Keys with which the workers of a processing service call."""

from __future__ import annotations

from typing import Any, ClassVar

from django.conf import settings
from django.db import models
from django.db.models import Q

from ami.base import clock
from ami.base.models import TimestampedModel
from ami.main.models import Project
from ami.ml.models.pipeline import Pipeline
from ami.ml.models.processing_service import ProcessingService


class WorkerKeyQuerySet(models.QuerySet["WorkerKey"]):
    """Which keys are good."""

    def usable(self) -> WorkerKeyQuerySet:
        """Neither revoked nor over."""
        return self.filter(
            Q(expires_at__isnull=True) | Q(expires_at__gt=clock.now()), revoked_at__isnull=True
        )


class WorkerKey(TimestampedModel):
    """One key. The key itself is shown once, when it is made; here is its digest. See `ami.ml.keys`."""

    service = models.ForeignKey(ProcessingService, on_delete=models.CASCADE, related_name="keys")
    name = models.CharField(max_length=255, blank=True, help_text="For people: where this key is used.")
    prefix = models.CharField(max_length=16, unique=True, editable=False)
    digest = models.CharField(max_length=128, unique=True, editable=False)
    projects: models.ManyToManyField[Project, Any] = models.ManyToManyField(
        Project, related_name="worker_keys", help_text="The only projects in which it is good."
    )
    pipelines: models.ManyToManyField[Pipeline, Any] = models.ManyToManyField(
        Pipeline, related_name="worker_keys", blank=True, help_text="The only pipelines that it may serve."
    )
    every_pipeline = models.BooleanField(
        default=True, help_text="It may serve every pipeline of its projects; the list above does not matter."
    )
    expires_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True, editable=False)
    last_used_at = models.DateTimeField(null=True, blank=True, editable=False, help_text="Within a minute.")
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        editable=False,
        related_name="+",
    )
    rotated_from = models.ForeignKey(
        "self", on_delete=models.SET_NULL, null=True, blank=True, editable=False, related_name="rotated_to"
    )

    objects: ClassVar[models.Manager[WorkerKey]] = models.Manager.from_queryset(WorkerKeyQuerySet)()

    class Meta:
        ordering: ClassVar[list[str]] = ["-created_at", "-pk"]

    @property
    def is_usable(self) -> bool:
        """Neither revoked nor over."""
        return self.revoked_at is None and (self.expires_at is None or self.expires_at > clock.now())

    def __str__(self) -> str:
        return f"{self.prefix}… of {self.service}"

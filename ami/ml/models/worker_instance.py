"""Workers as they are known by name: who calls, with what, and when they were last heard of."""

from __future__ import annotations

from typing import ClassVar

from django.conf import settings
from django.db import models

from ami.base import clock
from ami.base.models import TimestampedModel
from ami.ml.models.processing_service import ONLINE_FOR, ProcessingService


def lease_key(holder: str, instance_id: int | None) -> str:
    """Under what the open leases of one worker of a holder are counted."""
    return f"{holder}/{instance_id}"


class WorkerInstance(TimestampedModel):
    """One worker of a holder: of a processing service, or of an account with an old token.

    Written by `ami.ml.workers` alone.
    """

    holder = models.CharField(max_length=64, help_text="What its leases are bound to.")
    name = models.CharField(max_length=255, help_text="What tells it from its peers.")
    service = models.ForeignKey(
        ProcessingService, on_delete=models.CASCADE, null=True, blank=True, related_name="instances"
    )
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, null=True, blank=True, related_name="+"
    )
    hostname = models.CharField(max_length=255, blank=True)
    software = models.CharField(max_length=255, blank=True)
    version = models.CharField(max_length=64, blank=True)
    platform = models.CharField(max_length=255, blank=True)
    last_seen = models.DateTimeField()
    online = models.BooleanField(default=True)
    rejected = models.PositiveBigIntegerField(default=0, help_text="Posted items that were refused.")

    class Meta:
        ordering: ClassVar[list[str]] = ["holder", "name"]
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["holder", "name"], name="worker_once_per_holder"),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def lease_key(self) -> str:
        """Under what its open leases are counted (`ami.taskqueue.OpenLeases`)."""
        return lease_key(self.holder, self.pk)

    @property
    def is_online(self) -> bool:
        """Whether it called a moment ago."""
        return self.online and clock.now() - self.last_seen < ONLINE_FOR

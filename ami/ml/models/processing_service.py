"""Processing services: the registered owners of workers and pipelines."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, ClassVar

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import Q

from ami.base import clock
from ami.base.models import TimestampedModel
from ami.base.outgoing import AddressRefused, check_url
from ami.main.models import Project
from ami.ml.models.pipeline import Pipeline

ONLINE_FOR = timedelta(seconds=60)
"""A pull service counts as online this long after its last call (contract 3.9)."""


class ProcessingServiceQuerySet(models.QuerySet["ProcessingService"]):
    """Which services there are."""

    def pulling(self) -> ProcessingServiceQuerySet:
        """Those whose workers pull: without an endpoint."""
        return self.filter(Q(endpoint_url__isnull=True) | Q(endpoint_url=""))

    def pushed_to(self) -> ProcessingServiceQuerySet:
        """Those that we push work to: with an endpoint."""
        return self.filter(endpoint_url__isnull=False).exclude(endpoint_url="")


class ProcessingService(TimestampedModel):
    """Somebody's GPUs. Without an endpoint it pulls work from us; with one, we push work to it."""

    name = models.CharField(max_length=255)
    description = models.TextField(blank=True)
    endpoint_url = models.CharField(max_length=1024, null=True, blank=True)  # noqa: DJ001 - null on the wire
    projects: models.ManyToManyField[Project, Any] = models.ManyToManyField(
        Project, related_name="processing_services", blank=True
    )
    pipelines: models.ManyToManyField[Pipeline, Any] = models.ManyToManyField(
        Pipeline, related_name="processing_services", blank=True
    )
    registered_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="+",
        help_text="The account with whose token its workers registered; empty where they use worker keys.",
    )
    last_seen = models.DateTimeField(null=True, blank=True)
    last_seen_live = models.BooleanField(null=True, blank=True)
    last_seen_latency = models.FloatField(null=True, blank=True, help_text="Seconds.")

    objects: ClassVar[models.Manager[ProcessingService]] = models.Manager.from_queryset(
        ProcessingServiceQuerySet
    )()

    class Meta:
        ordering: ClassVar[list[str]] = ["name", "pk"]

    def __str__(self) -> str:
        return self.name

    def clean(self) -> None:
        """Refuse an address that the server can never call (the forms of the admin ask this)."""
        super().clean()
        if self.endpoint_url:
            try:
                check_url(self.endpoint_url)
            except AddressRefused as error:
                raise ValidationError({"endpoint_url": error.message}) from error

    @property
    def is_async(self) -> bool:
        """Whether its workers pull (no endpoint)."""
        return not self.endpoint_url

    @property
    def is_online(self) -> bool:
        """Whether it was seen alive a moment ago."""
        return bool(self.last_seen_live and self.last_seen and clock.now() - self.last_seen < ONLINE_FOR)

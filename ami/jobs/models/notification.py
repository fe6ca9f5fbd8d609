"""Who is told that a job ended: webhooks of projects, and what is to be told to whom."""

from __future__ import annotations

import uuid
from typing import ClassVar
from urllib.parse import urlsplit

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import Q

from ami.base.models import TimestampedModel
from ami.base.outgoing import AddressRefused, check_url
from ami.jobs.models.job import Job
from ami.jobs.states import JobState
from ami.main.models import Project


class Webhook(TimestampedModel):
    """An address that is told of every job of a project that ends."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="webhooks")
    name = models.CharField(max_length=255)
    url = models.CharField(max_length=1024, help_text="May hold a secret: it is shown to managers only.")
    secret = models.CharField(max_length=512, editable=False, help_text="Signs what is sent; sealed.")
    active = models.BooleanField(default=True)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )

    class Meta:
        ordering: ClassVar[list[str]] = ["name", "pk"]

    def __str__(self) -> str:
        return self.name

    def clean(self) -> None:
        """Refuse an address that the server can never call."""
        super().clean()
        try:
            check_url(self.url)
        except AddressRefused as error:
            raise ValidationError({"url": error.message}) from error

    @property
    def host(self) -> str:
        """All that may be written down of its address."""
        return urlsplit(self.url).hostname or ""


class NotificationWay(models.TextChoices):
    """How somebody is told."""

    EMAIL = "email", "E-mail"
    WEBHOOK = "webhook", "Webhook"


class NotificationState(models.TextChoices):
    """What became of it."""

    WAITING = "waiting", "Waiting"
    DELIVERED = "delivered", "Delivered"
    GAVE_UP = "gave_up", "Gave up"


class Notification(models.Model):
    """That one run of a job ended, for one address. Made in the transaction that ends the job.

    Written by `ami.jobs.notices` and `ami.jobs.notifying` alone.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, help_text="The same in every try.")
    job = models.ForeignKey(Job, on_delete=models.CASCADE, related_name="notifications", db_index=False)
    run = models.PositiveIntegerField()
    job_status = models.CharField(max_length=16, choices=JobState.choices)
    way = models.CharField(max_length=16, choices=NotificationWay.choices)
    webhook = models.ForeignKey(
        Webhook, on_delete=models.CASCADE, null=True, blank=True, related_name="notifications"
    )
    state = models.CharField(
        max_length=16, choices=NotificationState.choices, default=NotificationState.WAITING
    )
    payload = models.JSONField(null=True, help_text="What is told; made by the first try.")
    tries = models.PositiveIntegerField(default=0)
    next_try_at = models.DateTimeField(help_text="While somebody tries: when they are taken for dead.")
    last_error = models.TextField(blank=True)
    created_at = models.DateTimeField()
    delivered_at = models.DateTimeField(null=True)

    class Meta:
        ordering: ClassVar[list[str]] = ["-created_at"]
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(
                fields=["job", "run", "way", "webhook"], name="told_once_per_run", nulls_distinct=False
            ),
        ]
        indexes: ClassVar[list[models.Index]] = [
            models.Index(fields=["next_try_at"], condition=Q(state="waiting"), name="notification_due"),
        ]

    def __str__(self) -> str:
        return f"{self.get_way_display()} about job {self.job_id}"

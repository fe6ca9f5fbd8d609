"""The inbox: accepted results that are not saved yet. Committed before the worker hears `200`."""

from __future__ import annotations

from django.db import models

from ami.jobs.models.job import Job


class InboxEntry(models.Model):
    """The accepted items of one post (or a part of a large one), compressed.

    `body` is zstd-compressed JSON in the form of `ami.jobs.lifecycle.inbox_body`; only items whose ledger row
    was marked received in the same transaction are in it.
    """

    id = models.BigAutoField(primary_key=True)
    job = models.ForeignKey(Job, on_delete=models.CASCADE, related_name="inbox")
    body = models.BinaryField()
    tries = models.PositiveIntegerField(default=0)
    claimed_until = models.DateTimeField(null=True)
    in_hand = models.JSONField(
        null=True, help_text="Per image: how often a try was killed while this item was in hand."
    )
    asked_at = models.DateTimeField(null=True, help_text="When the inbox check enqueued it last.")
    applied_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        verbose_name_plural = "inbox entries"

    def __str__(self) -> str:
        return f"inbox entry {self.pk} of job {self.job_id}"

"""The ledger: one row per job and image, the truth about what happened to each."""

from __future__ import annotations

from typing import Any, ClassVar

from django.db import models
from django.db.models import Case, F, Q, When

from ami.jobs.models.job import Job
from ami.jobs.states import ErrorCode, TaskState

_FAILED = Q(failed_at__isnull=False)


class JobTask(models.Model):
    """One image of one job. Every UPDATE is a function of `ami.jobs.ledger`.

    `leased` means pending with `leased_until` ahead; attempts left are
    `NATS_MAX_DELIVER - (attempt - released)`. There is no index on anything that changes before an image
    fails: updates stay in their page (HOT), and questions over a whole job are answered by the projection
    (docs/adr/0002). Failed rows are few, and have small indexes of their own.
    """

    STATES: ClassVar[list[tuple[int, str]]] = [(int(state), state.name.lower()) for state in TaskState]

    id = models.BigAutoField(primary_key=True)
    job = models.ForeignKey(Job, on_delete=models.CASCADE, related_name="tasks", db_index=False)
    image: models.ForeignKey[Any, Any] = models.ForeignKey(
        "main.SourceImage",
        on_delete=models.DO_NOTHING,
        db_constraint=False,
        db_index=False,
        related_name="job_tasks",
        help_text="Stays when the capture is deleted.",
    )
    position = models.BigIntegerField(help_text="Order of publishing.")
    run = models.PositiveIntegerField()
    status = models.PositiveSmallIntegerField(choices=STATES, default=TaskState.PENDING)
    attempt = models.PositiveIntegerField(default=0, help_text="Leases handed out in this run.")
    released = models.PositiveIntegerField(default=0, help_text="Leases given back unused.")
    reopened = models.PositiveIntegerField(default=0, help_text="Times put back by a retry.")
    leased_until = models.DateTimeField(null=True)
    not_before = models.DateTimeField(null=True)
    worker = models.CharField(max_length=255, blank=True)
    instance_id = models.BigIntegerField(null=True, help_text="Row of that worker, should it still be there.")
    accepted_in = models.BigIntegerField(null=True, help_text="Inbox row that holds the result.")
    error_code = models.CharField(max_length=32, blank=True, choices=ErrorCode.choices)
    error_text = models.TextField(blank=True)
    detections = models.PositiveIntegerField(default=0)
    classifications = models.PositiveIntegerField(default=0)
    processing_ms = models.PositiveIntegerField(null=True)
    finished_at = models.DateTimeField(null=True)
    failed_at = models.GeneratedField(
        expression=Case(When(status=int(TaskState.FAILED), then=F("finished_at"))),
        output_field=models.DateTimeField(null=True),
        db_persist=True,
    )
    """`finished_at` of a failed image, else null; computed by the database."""

    class Meta:
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["job", "image"], name="task_once_per_job"),
        ]
        indexes: ClassVar[list[models.Index]] = [
            models.Index(fields=["job", "position"], name="task_publish_order"),
            models.Index(fields=["-failed_at", "-id"], condition=_FAILED, name="task_failed_newest"),
            models.Index(fields=["job", "-failed_at", "-id"], condition=_FAILED, name="task_failed_of_job"),
            models.Index(fields=["image"], condition=_FAILED, name="task_failed_of_image"),
        ]

    def __str__(self) -> str:
        return f"image {self.image_id} of job {self.job_id}: {TaskState(self.status).name.lower()}"

"""A job: a person's request to run one pipeline over a set of captures."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, ClassVar

from django.conf import settings
from django.contrib.auth.models import AnonymousUser
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Q

from ami.base.models import TimestampedModel
from ami.jobs.models.export import DataExport
from ami.jobs.states import FINAL, SERVING, DispatchMode, JobState
from ami.main.models import Deployment, Project, SourceImage, SourceImageCollection
from ami.ml.models import Pipeline
from ami.users.models import User

JOB_TYPES: dict[str, str] = {
    "ml": "ML pipeline",
    "populate_captures_collection": "Populate capture set",
    "data_storage_sync": "Data storage sync",
    "regroup_events": "Regroup sessions",
    "unknown": "Unknown",
    "data_export": "Data Export",
    "post_processing": "Post Processing",
}

PRIORITY_MIN, PRIORITY_DEFAULT, PRIORITY_MAX = 1, 10, 100


class JobQuerySet(models.QuerySet["Job"]):
    """Which jobs a person may see."""

    def visible_to(self, user: User | AnonymousUser) -> JobQuerySet:
        """Jobs of the projects that the person may see."""
        return self.filter(project__in=Project.objects.all().visible_to(user))


class Job(TimestampedModel):
    """One job. Only `ami.jobs.transitions` writes `status`; progress is a projection of the ledger."""

    name = models.CharField(max_length=255)
    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="jobs")
    deployment = models.ForeignKey(
        Deployment, on_delete=models.CASCADE, null=True, blank=True, related_name="jobs"
    )
    source_image_single = models.ForeignKey(
        SourceImage, on_delete=models.SET_NULL, null=True, blank=True, related_name="jobs"
    )
    source_image_collection = models.ForeignKey(
        SourceImageCollection, on_delete=models.SET_NULL, null=True, blank=True, related_name="jobs"
    )
    pipeline = models.ForeignKey(
        Pipeline, on_delete=models.SET_NULL, null=True, blank=True, related_name="jobs"
    )
    data_export = models.OneToOneField(
        DataExport, on_delete=models.CASCADE, null=True, blank=True, editable=False, related_name="job"
    )
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )
    job_type_key = models.SlugField(
        max_length=64, default="ml", choices=list(JOB_TYPES.items()), db_index=False
    )
    delay = models.PositiveIntegerField(default=0, help_text="Seconds to wait before starting.")
    limit = models.PositiveIntegerField(null=True, blank=True, help_text="At most this many captures.")
    shuffle = models.BooleanField(default=True, help_text="Work through the captures in random order.")
    priority = models.PositiveSmallIntegerField(
        default=PRIORITY_DEFAULT,
        validators=[MinValueValidator(PRIORITY_MIN), MaxValueValidator(PRIORITY_MAX)],
        help_text="Its weight, 1 to 100, when workers could take tasks of several jobs.",
    )
    notify_by_email = models.BooleanField(default=False, help_text="Write to its creator when it ends.")
    params = models.JSONField(default=dict, blank=True)
    result = models.JSONField(null=True, blank=True)
    diagnostics = models.JSONField(default=list, blank=True, help_text="What health checks noticed.")
    waiting_for = models.CharField(
        max_length=500, blank=True, editable=False, help_text="Why nobody works on it, if nobody does."
    )

    status = models.CharField(
        max_length=16, choices=JobState.choices, default=JobState.CREATED, editable=False
    )
    dispatch_mode = models.CharField(
        max_length=16, choices=DispatchMode.choices, default=DispatchMode.INTERNAL, editable=False
    )
    run = models.PositiveIntegerField(default=1, editable=False, help_text="Raised by every retry.")
    scheduled_at = models.DateTimeField(null=True, blank=True, editable=False)
    started_at = models.DateTimeField(null=True, blank=True, editable=False)
    finished_at = models.DateTimeField(null=True, blank=True, editable=False)

    queue_epoch = models.PositiveIntegerField(
        default=0, editable=False, help_text="Incarnation of the stream."
    )
    collected_at = models.DateTimeField(null=True, blank=True, editable=False)
    collect_cursor = models.BigIntegerField(default=0, editable=False, help_text="Last capture collected.")
    published_to = models.BigIntegerField(
        default=0, editable=False, help_text="Ledger position up to which messages are confirmed."
    )
    work = models.JSONField(
        default=dict, blank=True, editable=False, help_text="Where the slices of an internal job stand."
    )
    driver = models.CharField(max_length=64, blank=True, editable=False, help_text="Who dispatches now.")
    driver_until = models.DateTimeField(null=True, blank=True, editable=False)
    dispatch_seen = models.JSONField(
        null=True, blank=True, editable=False, help_text="What the dispatch check saw last."
    )
    projected_at = models.DateTimeField(null=True, blank=True, editable=False)
    refresh_due_at = models.DateTimeField(null=True, blank=True, editable=False)
    last_served_at = models.DateTimeField(
        null=True,
        blank=True,
        editable=False,
        help_text="When tasks of it were last handed out in a fair turn.",
    )

    objects: ClassVar[models.Manager[Job]] = models.Manager.from_queryset(JobQuerySet)()

    class Meta:
        ordering: ClassVar[list[str]] = ["-created_at", "-pk"]
        indexes: ClassVar[list[models.Index]] = [
            models.Index(fields=["-created_at", "-id"], name="job_newest_first"),
            models.Index(fields=["status", "dispatch_mode"], name="job_by_state"),
            models.Index(
                fields=["pipeline", "id"],
                condition=Q(status__in=["PENDING", "STARTED", "RETRY"]),
                name="job_running",
            ),
        ]

    def __str__(self) -> str:
        return f"#{self.pk} {self.name}"

    @property
    def is_final(self) -> bool:
        """Whether it ended."""
        return self.status in FINAL

    @property
    def waiting(self) -> str:
        """Why nobody works on it, as of the last look; empty when somebody does, or it is not its time."""
        return self.waiting_for if self.status in SERVING else ""

    @property
    def duration(self) -> timedelta | None:
        """From start to end; None while it has not ended."""
        if self.started_at and self.finished_at:
            return self.finished_at - self.started_at
        return None

    @property
    def job_type(self) -> dict[str, Any]:
        """Name and key of its type, as the wire shows them."""
        return {"name": JOB_TYPES.get(self.job_type_key, "Unknown"), "key": self.job_type_key}

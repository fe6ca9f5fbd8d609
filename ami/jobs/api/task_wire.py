"""What workers send and get over all jobs: reserve, extend, release, fail, and the next job."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from rest_framework import serializers

from ami.jobs.api.worker_wire import ItemAnswerSerializer, TaskSerializer

TOKENS_MAX = 2_000


class SlugsField(serializers.ListField):
    """Slugs of pipelines; left out, or null: all that the caller may serve."""

    def __init__(self, **kwargs: Any) -> None:
        """Never required."""
        super().__init__(
            child=serializers.CharField(max_length=255),
            required=False,
            allow_null=True,
            max_length=1_000,
            **kwargs,
        )


class NextRequestSerializer(serializers.Serializer[Any]):
    """Which job next?"""

    pipelines = SlugsField()
    client_info = serializers.JSONField(required=False, allow_null=True)


class NextJobSerializer(serializers.Serializer[Any]):
    """A job that has tasks now."""

    id = serializers.IntegerField()
    name = serializers.CharField()
    pipeline_slug = serializers.CharField()


class NextResponseSerializer(serializers.Serializer[Any]):
    """The job whose turn it is; null when none has anything to hand out."""

    job = NextJobSerializer(allow_null=True)
    batch_size = serializers.IntegerField(help_text="A sensible number of tasks to reserve at once.")
    lease_seconds = serializers.FloatField()


class ReserveRequestSerializer(serializers.Serializer[Any]):
    """Tasks, please."""

    batch_size = serializers.IntegerField(min_value=1)
    wait = serializers.FloatField(
        min_value=0,
        max_value=3_600,
        default=0,
        help_text="Seconds to wait for tasks to come up; capped by the server.",
    )
    pipelines = SlugsField()
    client_info = serializers.JSONField(required=False, allow_null=True)


class ReservedTaskSerializer(TaskSerializer):
    """One image to process, with its job."""

    job_id = serializers.IntegerField()
    pipeline_slug = serializers.CharField()


class ReserveResponseSerializer(serializers.Serializer[Any]):
    """The tasks that the caller now holds, grouped by job."""

    tasks = ReservedTaskSerializer(many=True)
    lease_seconds = serializers.FloatField()
    retry_after = serializers.FloatField(
        allow_null=True, help_text="Seconds to wait before asking again; null: ask again at once."
    )
    reason = serializers.CharField(allow_blank=True, help_text="Why there are none, where that needs words.")


class LeasesRequestSerializer(serializers.Serializer[Any]):
    """Leases by their tokens (`reply_subject`)."""

    leases = serializers.ListField(child=serializers.JSONField(allow_null=True), max_length=TOKENS_MAX)
    client_info = serializers.JSONField(required=False, allow_null=True)


class LeaseAnswerSerializer(serializers.Serializer[Any]):
    """What became of one lease."""

    reply_subject = serializers.CharField()
    status = serializers.ChoiceField(choices=["held", "released", "lost", "cancelled", "rejected"])
    cancelled = serializers.BooleanField(help_text="The job ended: stop working on it.")
    reason = serializers.CharField(required=False)


class LeasesResponseSerializer(serializers.Serializer[Any]):
    """One answer per lease, in order."""

    leases = LeaseAnswerSerializer(many=True)
    lease_seconds = serializers.FloatField()


class FailureSerializer(serializers.Serializer[Any]):
    """An attempt that ended badly."""

    reply_subject = serializers.CharField()
    error = serializers.CharField()
    retryable = serializers.BooleanField(required=False, default=True)
    code = serializers.CharField(required=False)


class FailRequestSerializer(serializers.Serializer[Any]):
    """Attempts that ended badly."""

    failures = serializers.ListField(child=serializers.JSONField(allow_null=True), max_length=TOKENS_MAX)
    client_info = serializers.JSONField(required=False, allow_null=True)


class FailResponseSerializer(serializers.Serializer[Any]):
    """One answer per failure, in order."""

    tasks = ItemAnswerSerializer(many=True)


def suggested_batch_size() -> int:
    """What a worker that has no opinion should reserve at once."""
    return min(settings.SUGGESTED_BATCH_SIZE, settings.RESERVE_MAX_BATCH)

"""A job's log as the wire shows it: lines for people, newest first, and for members of the project only."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from ami.jobs.models import Job, JobLog
from ami.main.api.access import access_of

MAY_READ = "view_private_data"
"""Every role in a project holds it. Lines name hosts and captures: nothing for the rest of the world."""

_ERRORS = {"ERROR", "CRITICAL"}


class LogsSerializer(serializers.Serializer[dict[str, Any]]):
    """Log lines, newest first: `stdout` with time and level, `stderr` with the bare messages of errors."""

    stdout = serializers.ListField(child=serializers.CharField())
    stderr = serializers.ListField(child=serializers.CharField())


@extend_schema_field(LogsSerializer)
class LogsField(serializers.Field[Any, Any, dict[str, list[str]], Job]):
    """The newest lines, as many as the view allows by `logs_limit` in its context; none in lists."""

    def to_representation(self, value: Job) -> dict[str, list[str]]:
        """Lines for those who may read them."""
        limit = self.context.get("logs_limit")
        if not limit or not access_of(self.context["request"]).may(MAY_READ, value.project_id):
            return {"stdout": [], "stderr": []}
        return job_logs(value.pk, limit)


def job_logs(job_id: int, limit: int) -> dict[str, list[str]]:
    """The newest `limit` lines of a job, in the contract's shape."""
    lines = list(
        JobLog.objects.filter(job_id=job_id)
        .order_by("-created_at", "-pk")
        .values_list("created_at", "level", "message")[:limit]
    )
    return {
        "stdout": [f"[{at:%Y-%m-%d %H:%M:%S}] {level} {message}" for at, level, message in lines],
        "stderr": [message for _, level, message in lines if level in _ERRORS],
    }

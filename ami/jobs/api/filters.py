"""Which jobs a list shows (contract 1.9.1)."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, ClassVar

from django.db.models import Exists, OuterRef, Q, QuerySet
from django_filters import rest_framework as filters
from rest_framework.request import Request

from ami.base import clock
from ami.base.api.filters import flag
from ami.jobs.api.parameters import CUTOFF_HOURS_DEFAULT, CUTOFF_HOURS_MAX, bounded_integer
from ami.jobs.models import Job, JobStage
from ami.jobs.states import FINAL, JobState

STALE_ENDINGS = (JobState.FAILURE, JobState.REVOKED, JobState.UNKNOWN)


class SlugList(filters.BaseInFilter, filters.CharFilter):
    """A comma-separated list of slugs."""


class JobFilter(filters.FilterSet):
    """Exact matches, and `pipeline__slug__in` with a comma-separated list."""

    status = filters.ChoiceFilter(choices=JobState.choices, method="by_status")
    pipeline__slug = filters.CharFilter(field_name="pipeline__slug")
    pipeline__slug__in = SlugList(field_name="pipeline__slug", lookup_expr="in")

    class Meta:
        model = Job
        fields: ClassVar[list[str]] = [
            "status",
            "project",
            "deployment",
            "source_image_collection",
            "source_image_single",
            "pipeline",
            "job_type_key",
            "dispatch_mode",
        ]

    def __init__(self, data: Any = None, *args: Any, **kwargs: Any) -> None:
        """Statuses are compared without regard to case."""
        if data is not None and data.get("status"):
            data = data.copy()
            data["status"] = data["status"].upper()
        super().__init__(data, *args, **kwargs)

    def by_status(self, queryset: QuerySet[Job], _name: str, value: str) -> QuerySet[Job]:
        """Jobs in this state."""
        return queryset.filter(status=value)


def only_incomplete(jobs: QuerySet[Job]) -> QuerySet[Job]:
    """Without ended jobs, and without jobs whose results are all in."""
    results_done = JobStage.objects.filter(job=OuterRef("pk"), key="results", status__in=FINAL)
    return jobs.exclude(status__in=FINAL).exclude(Exists(results_done))


def narrow(jobs: QuerySet[Job], request: Request) -> QuerySet[Job]:
    """Apply `cutoff_hours` and `incomplete_only`."""
    hours = bounded_integer(request, "cutoff_hours", CUTOFF_HOURS_DEFAULT, 0, CUTOFF_HOURS_MAX)
    if "cutoff_hours" in request.query_params:
        old = clock.now() - timedelta(hours=hours)
        jobs = jobs.exclude(Q(status__in=STALE_ENDINGS) & Q(updated_at__lt=old))
    return only_incomplete(jobs) if flag(request, "incomplete_only") else jobs

"""Which jobs a list shows (contract 1.9.1)."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, ClassVar

from django import forms
from django.db.models import Exists, OuterRef, QuerySet
from django_filters import rest_framework as filters
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request

from ami.base import clock
from ami.base.api.filters import flag
from ami.jobs.api.parameters import CUTOFF_HOURS_DEFAULT, CUTOFF_HOURS_MAX, bounded_integer
from ami.jobs.models import Job, JobStage
from ami.jobs.states import FINAL, JobState
from ami.main.api.filters import visible_capture_sets, visible_deployments, visible_projects
from ami.main.models import SourceImage
from ami.ml.models import Pipeline

SLUGS_MAX = 1_000
"""As many as the other worker calls take."""

STALE_ENDINGS = (JobState.FAILURE, JobState.REVOKED, JobState.UNKNOWN)


def visible_captures(request: Request) -> QuerySet[SourceImage]:
    """The captures that may be named in a filter."""
    return SourceImage.objects.filter(project__in=visible_projects(request))


def visible_pipelines(request: Request) -> QuerySet[Pipeline]:
    """The pipelines that may be named in a filter: those that visible projects have or had."""
    return Pipeline.objects.filter(projects__in=visible_projects(request)).distinct()


class SlugList(filters.BaseInFilter, filters.CharFilter):
    """A comma-separated list of slugs."""

    def filter(self, qs: QuerySet[Any], value: list[str] | None) -> QuerySet[Any]:
        """Raises a 400 for more than anybody has."""
        if value and len(value) > SLUGS_MAX:
            raise ValidationError({"pipeline__slug__in": [f"At most {SLUGS_MAX} slugs, please."]})
        return super().filter(qs, value)  # type: ignore[no-any-return]


class KeyFilter(filters.ModelChoiceFilter):
    """An object by its key. Typed in, never chosen from a list: there may be millions."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """`queryset`: what may be named."""
        super().__init__(*args, widget=forms.NumberInput, **kwargs)


class JobFilter(filters.FilterSet):
    """Exact matches, and `pipeline__slug__in` with a comma-separated list."""

    project = KeyFilter(queryset=visible_projects)
    deployment = KeyFilter(queryset=visible_deployments)
    source_image_collection = KeyFilter(queryset=visible_capture_sets)
    source_image_single = KeyFilter(queryset=visible_captures)
    pipeline = KeyFilter(queryset=visible_pipelines)
    pipeline__slug = filters.CharFilter(field_name="pipeline__slug")
    pipeline__slug__in = SlugList(field_name="pipeline__slug", lookup_expr="in")

    class Meta:
        model = Job
        fields: ClassVar[list[str]] = ["status", "job_type_key", "dispatch_mode"]

    def __init__(self, data: Any = None, *args: Any, **kwargs: Any) -> None:
        """Statuses are compared without regard to case; an unknown one is quoted back as it came."""
        if data is not None and (state := data.get("status", "").upper()) in JobState.values:
            data = data.copy()
            data["status"] = state
        super().__init__(data, *args, **kwargs)


def only_incomplete(jobs: QuerySet[Job]) -> QuerySet[Job]:
    """Without ended jobs, and without jobs whose results are all in."""
    results_done = JobStage.objects.filter(job=OuterRef("pk"), key="results", status__in=FINAL)
    return jobs.exclude(status__in=FINAL).exclude(Exists(results_done))


def narrow(jobs: QuerySet[Job], request: Request) -> QuerySet[Job]:
    """Apply `cutoff_hours` (nothing is hidden unless it is given) and `incomplete_only`."""
    hours = bounded_integer(request, "cutoff_hours", CUTOFF_HOURS_DEFAULT, 0, CUTOFF_HOURS_MAX)
    if "cutoff_hours" in request.query_params:
        old = clock.now() - timedelta(hours=hours)
        jobs = jobs.exclude(status__in=STALE_ENDINGS, updated_at__lt=old)
    return only_incomplete(jobs) if flag(request, "incomplete_only") else jobs

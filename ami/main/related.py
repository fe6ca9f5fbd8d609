"""What higher layers attach to our rows, reached by the names of the reverse relations and nothing else.

Jobs point to stations, captures and capture sets (`jobs`); detections point to captures (`detections`, where
a row without a box says "looked, found nothing").
"""

from __future__ import annotations

from typing import Any

from django.db.models import (
    Count,
    DateTimeField,
    Exists,
    IntegerField,
    Max,
    Model,
    OuterRef,
    Prefetch,
    Q,
    QuerySet,
    Subquery,
)
from django.db.models.functions import Coalesce

from ami.main.models import SourceImage

_RECENT_JOBS = 5
REAL = Q(x1__isnull=False)


def recent_jobs(model: type[Model]) -> Prefetch[Any]:
    """The latest jobs of each row, as `recent_jobs`; one query for the whole page."""
    return Prefetch("jobs", jobs_of(model).order_by("-pk")[:_RECENT_JOBS], to_attr="recent_jobs")


def jobs_of(model: type[Model]) -> QuerySet[Any]:
    """All jobs, found through the relation that jobs have to `model`."""
    related: Any = model._meta.get_field("jobs").related_model
    rows: QuerySet[Any] = related.objects.all()
    return rows


def real_detections() -> Prefetch[Any]:
    """The boxes of each capture, as `boxes`; one query for the whole page."""
    return Prefetch("detections", _detections().filter(REAL).order_by("pk"), to_attr="boxes")


def is_processed() -> Exists:
    """Whether some algorithm has looked at a capture."""
    return Exists(_detections().filter(source_image_id=OuterRef("pk")))


def has_detections() -> Exists:
    """Whether some algorithm has found something on a capture."""
    return Exists(_detections().filter(REAL, source_image_id=OuterRef("pk")))


def count_of(rows: QuerySet[Any], key: str, *, of: str = "pk") -> Coalesce:
    """How many of `rows` point to the outer row by `key`: one subquery, no join that multiplies rows.

    `of`: the column of the outer row that `key` points to.
    """
    counted = rows.filter(**{key: OuterRef(of)}).order_by().values(key).annotate(n=Count("pk")).values("n")
    return Coalesce(Subquery(counted, output_field=IntegerField()), 0)


def detections_count() -> Coalesce:
    """How many boxes a capture has."""
    return count_of(_detections().filter(REAL), "source_image")


def last_processed() -> Subquery:
    """When the newest prediction of a capture was stored, a box or "found nothing"; null without one."""
    newest = (
        _detections()
        .filter(source_image_id=OuterRef("pk"))
        .order_by()
        .values("source_image_id")
        .annotate(at=Max("created_at"))
        .values("at")
    )
    return Subquery(newest, output_field=DateTimeField())


def _detections() -> QuerySet[Any]:
    model: Any = SourceImage._meta.get_field("detections").related_model
    rows: QuerySet[Any] = model.objects.all()
    return rows

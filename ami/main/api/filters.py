"""Filters of captures."""

from __future__ import annotations

from typing import Any

import django_filters
from django.db.models import QuerySet
from rest_framework.request import Request

from ami.base.api.filters import FlagFilter
from ami.main.capture_sets import in_set
from ami.main.models import Deployment, Event, Project, SourceImage, SourceImageCollection
from ami.main.related import has_detections, is_processed


def visible_projects(request: Request) -> QuerySet[Project]:
    """The projects that may be named in a filter."""
    return Project.objects.all().visible_to(request.user)


def visible_deployments(request: Request) -> QuerySet[Deployment]:
    """The stations that may be named in a filter."""
    return Deployment.objects.filter(project__in=visible_projects(request))


def visible_capture_sets(request: Request) -> QuerySet[SourceImageCollection]:
    """The capture sets that may be named in a filter."""
    return SourceImageCollection.objects.filter(project__in=visible_projects(request))


def visible_events(request: Request) -> QuerySet[Event]:
    """The sessions that may be named in a filter."""
    return Event.objects.filter(deployment__project__in=visible_projects(request))


class EventFilter(django_filters.FilterSet):
    """Sessions by station."""

    project = django_filters.ModelChoiceFilter(field_name="deployment__project", queryset=visible_projects)
    deployment = django_filters.ModelChoiceFilter(queryset=visible_deployments)

    class Meta:
        model = Event
        fields: list[str] = []


class CaptureFilter(django_filters.FilterSet):
    """Captures by station, set, and what has been done with them."""

    project = django_filters.ModelChoiceFilter(queryset=visible_projects)
    deployment__project = django_filters.ModelChoiceFilter(queryset=visible_projects)
    deployment = django_filters.ModelChoiceFilter(queryset=visible_deployments)
    event = django_filters.ModelChoiceFilter(queryset=visible_events)
    collections = django_filters.ModelChoiceFilter(
        method="filter_collections", queryset=visible_capture_sets, label="Capture set"
    )
    processed = FlagFilter(method="filter_processed")
    has_detections = FlagFilter(method="filter_has_detections")

    class Meta:
        model = SourceImage
        fields: list[str] = []

    def filter_collections(
        self, queryset: QuerySet[Any], _name: str, value: SourceImageCollection
    ) -> QuerySet[Any]:
        """Whether it is in a set."""
        return queryset.filter(in_set(value))

    def filter_processed(self, queryset: QuerySet[Any], _name: str, value: bool) -> QuerySet[Any]:
        """Whether some algorithm has looked at it."""
        return queryset.filter(is_processed() if value else ~is_processed())

    def filter_has_detections(self, queryset: QuerySet[Any], _name: str, value: bool) -> QuerySet[Any]:
        """Whether some algorithm has found something on it."""
        return queryset.filter(has_detections() if value else ~has_detections())

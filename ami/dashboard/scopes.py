"""What a walk goes through: the captures of a set, or those of a station."""

from __future__ import annotations

from dataclasses import dataclass, field

from django.db.models import Q, QuerySet
from django.urls import reverse

from ami.main.capture_sets import in_set
from ami.main.models import Deployment, SourceImage, SourceImageCollection


@dataclass(frozen=True)
class Scope:
    """`captures` is what an index walks through in order; `conditions` are tried on each of them."""

    captures: QuerySet[SourceImage]
    name: str
    url: str
    set: int | None = None
    """The set; the address of a capture says which walk it is part of."""
    conditions: list[Q] = field(default_factory=list)


def scope_of_set(capture_set: SourceImageCollection, station: Deployment | None = None) -> Scope:
    """The captures of a set; `station`: those of one station alone."""
    captures = SourceImage.objects.filter(in_set(capture_set), project_id=capture_set.project_id)
    conditions = []
    if station is not None and capture_set.holds_whole_project:
        captures = SourceImage.objects.filter(deployment=station)  # the same, and there is an index for it
    elif station is not None:
        conditions.append(Q(deployment=station))
    url = reverse("dashboard:set", args=[capture_set.pk])
    return Scope(captures, capture_set.name, url, capture_set.pk, conditions)


def scope_of_station(station: Deployment) -> Scope:
    """The captures of a station."""
    captures = SourceImage.objects.filter(deployment=station)
    return Scope(captures, station.name, reverse("dashboard:station", args=[station.pk]))

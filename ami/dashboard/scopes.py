"""What a walk goes through: the captures of a set, or those of a station."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from django.db.models import Q, QuerySet
from django.urls import reverse

from ami.main.models import Deployment, SourceImage, SourceImageCollection


@dataclass(frozen=True)
class Scope:
    """`captures` is what an index walks through in order; `conditions` are tried on each of them."""

    captures: QuerySet[SourceImage]
    members: QuerySet[Any] | None
    """The rows that say what a set holds that was chosen by hand; None where no rows say it."""
    name: str
    url: str
    set: int | None = None
    """The set; the address of a capture says which walk it is part of."""
    conditions: list[Q] = field(default_factory=list)

    def between(self, above: int | None, below: int | None) -> QuerySet[SourceImage]:
        """The captures with ids in between; None: no limit.

        The limits are told for the captures and for the rows of a set: Postgres does not conclude the one
        from the other, and would read all members up to where the page begins.
        """
        captures = self.captures.filter(**_limits("pk", above, below))
        if self.members is None:
            return captures
        members = self.members.filter(**_limits("sourceimage_id", above, below))
        return captures.filter(pk__in=members.values("sourceimage_id"))


def scope_of_set(capture_set: SourceImageCollection, station: Deployment | None = None) -> Scope:
    """The captures of a set; `station`: those of one station alone."""
    captures = SourceImage.objects.filter(project_id=capture_set.project_id)
    members, conditions = None, []
    if not capture_set.holds_whole_project:
        members = SourceImageCollection.images.through.objects.filter(sourceimagecollection=capture_set)
        conditions = [Q(deployment=station)] if station is not None else []
    elif station is not None:
        captures = SourceImage.objects.filter(deployment=station)  # the same, and there is an index for it
    url = reverse("dashboard:set", args=[capture_set.pk])
    return Scope(captures, members, capture_set.name, url, capture_set.pk, conditions)


def scope_of_station(station: Deployment) -> Scope:
    """The captures of a station."""
    captures = SourceImage.objects.filter(deployment=station)
    return Scope(captures, None, station.name, reverse("dashboard:station", args=[station.pk]))


def _limits(name: str, above: int | None, below: int | None) -> dict[str, int]:
    limits = {f"{name}__gt": above, f"{name}__lt": below}
    return {lookup: limit for lookup, limit in limits.items() if limit is not None}

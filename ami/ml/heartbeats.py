"""Signs of life of pull services: noticed on every worker call, written at most twice a minute.

A service is marked only for what its own projects do, so nobody can make another tenant's service look alive.
Two throttles keep this off the hot path: each process remembers what it wrote, and the UPDATE only touches
rows that were not seen for a while.
"""

from __future__ import annotations

import time
from collections.abc import Hashable, Iterable
from datetime import timedelta

from django.db import transaction
from django.db.models import Q, QuerySet

from ami.base import clock
from ami.ml.models import ProcessingService

THROTTLE = timedelta(seconds=30)
"""Half of the time after which a silent service counts as offline."""

_MOST_REMEMBERED = 10_000
_written: dict[Hashable, float] = {}


def note_service_seen(service_id: int) -> None:
    """This service called."""
    _note(("service", service_id), Q(pk=service_id))


def note_pipeline_seen(pipeline_id: int, project_id: int) -> None:
    """Somebody took tasks or posted results of this pipeline in this project."""
    _note(("pipeline", pipeline_id, project_id), Q(pipelines=pipeline_id, projects=project_id))


def note_slugs_seen(slugs: Iterable[str], project_ids: Iterable[int]) -> None:
    """Somebody who may work in these projects asked for jobs of these pipelines (none named: of any)."""
    names, projects = tuple(sorted(set(slugs))), tuple(sorted(set(project_ids)))
    if not projects:
        return
    which = Q(projects__in=projects)
    _note(("slugs", names, projects), which & Q(pipelines__slug__in=names) if names else which)


def forget_notes() -> None:
    """Let the next sign of life be written again."""
    _written.clear()


def _note(key: Hashable, which: Q) -> None:
    """Mark the pull services that `which` selects. Safe to run twice: seen is seen."""
    if time.monotonic() < _written.get(key, float("-inf")) + THROTTLE.total_seconds():
        return
    if len(_written) >= _MOST_REMEMBERED:
        _written.clear()
    _written[key] = time.monotonic()
    now = clock.now()
    stale = Q(last_seen__isnull=True) | Q(last_seen__lt=now - THROTTLE) | ~Q(last_seen_live=True)
    # Rows that another process has in hand are being marked by it: nobody waits here.
    candidates = ProcessingService.objects.filter(_pulls(), stale, pk__in=_ids(which))
    with transaction.atomic():
        locked = candidates.order_by("pk").select_for_update(skip_locked=True, no_key=True)
        if keys := list(locked.values_list("pk", flat=True)):
            ProcessingService.objects.filter(pk__in=keys).update(last_seen=now, last_seen_live=True)


def _ids(which: Q) -> QuerySet[ProcessingService, int]:
    return ProcessingService.objects.filter(which).values_list("pk", flat=True)


def _pulls() -> Q:
    return Q(endpoint_url__isnull=True) | Q(endpoint_url="")

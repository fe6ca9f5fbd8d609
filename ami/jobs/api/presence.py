"""Signs of life of processing services, taken from the calls of their workers (contract 3.9).

A worker that names itself marks the service of that name and no other. Workers that do not (all existing
ones) mark the services of the pipeline in question, and only in projects where the caller is a worker.
Whatever goes wrong here is no reason to refuse the call.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import structlog
from django.db import DatabaseError

from ami.jobs.models import Job
from ami.ml.heartbeats import THROTTLE, note_pipeline_seen, note_service_seen, note_slugs_seen
from ami.ml.models import ProcessingService

logger = structlog.get_logger(__name__)

_MOST_REMEMBERED = 10_000
_looked_up: dict[tuple[str, tuple[int, ...]], float] = {}
"""Name and projects → when this process last looked for the service; most calls cost this one look."""


def note_poll(name: str, slugs: Sequence[str], projects: Sequence[int]) -> None:
    """Somebody who works in `projects` asked for jobs of these pipelines."""
    if not projects:
        return
    if name:
        _tolerate(lambda: _note_named(name, projects))
    else:
        _tolerate(lambda: note_slugs_seen(slugs, projects))


def note_call(name: str, job: Job) -> None:
    """Somebody took tasks of a job, or posted results."""
    pipeline_id = job.pipeline_id
    if name:
        _tolerate(lambda: _note_named(name, [job.project_id]))
    elif pipeline_id is not None:
        _tolerate(lambda: note_pipeline_seen(pipeline_id, job.project_id))


def forget_lookups() -> None:
    """Look for every service anew."""
    _looked_up.clear()


def _note_named(name: str, projects: Sequence[int]) -> None:
    key = (name, tuple(projects))
    if time.monotonic() < _looked_up.get(key, float("-inf")) + THROTTLE.total_seconds():
        return
    if len(_looked_up) >= _MOST_REMEMBERED:
        _looked_up.clear()
    _looked_up[key] = time.monotonic()
    services = ProcessingService.objects.filter(name=name, projects__in=projects).order_by("pk")
    for service_id in services.values_list("pk", flat=True).distinct():
        note_service_seen(service_id)


def _tolerate(note: Callable[[], None]) -> None:
    try:
        note()
    except DatabaseError as error:
        logger.warning("heartbeat.lost", error=type(error).__name__)

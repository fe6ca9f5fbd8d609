"""Signs of life, taken from the calls of workers (contract 3.9): a call marks its caller, and nobody else.

A worker with a key marks its service. With a user's token it marks the services that this account registered
(of those only the one it names, if it names one), or else one that nobody registered and that can only be
meant. Noted at most every `THROTTLE` in each process, and written in the background. Whatever goes wrong here
is no reason to refuse the call.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence

import structlog
from django.db import DatabaseError
from django.db.models import Q

from ami.jobs.api.callers import Caller
from ami.jobs.dispatcher import dispatcher
from ami.ml.models import ProcessingService
from ami.ml.workers import THROTTLE, SignOfLife, write_sign_of_life

logger = structlog.get_logger(__name__)

_MOST_REMEMBERED = 10_000
_noted: dict[tuple[int | None, int | None], float] = {}
"""Worker and key → when this process last noted a sign of life."""
_rejected: Counter[int] = Counter()


def note_call(caller: Caller, pipelines: Sequence[str], projects: Sequence[int]) -> None:
    """A worker called about jobs of these pipelines (slugs; none: any) in these projects."""
    worker_id = caller.worker.instance_id
    key = (worker_id, caller.key_id)
    if worker_id is None or time.monotonic() < _noted.get(key, float("-inf")) + THROTTLE.total_seconds():
        return
    if len(_noted) >= _MOST_REMEMBERED:
        _noted.clear()
    _noted[key] = time.monotonic()
    try:
        services = tuple(_services(caller, pipelines, projects))
        sign = SignOfLife(worker_id, services, caller.key_id, _rejected.pop(worker_id, 0))
        if not dispatcher().seen(sign):
            write_sign_of_life(sign)
    except DatabaseError as error:
        logger.warning("heartbeat.lost", worker=caller.worker.name, error=type(error).__name__)


def note_rejected(caller: Caller, count: int) -> None:
    """Items of a post were refused; they are counted with the next sign of life."""
    if count and caller.worker.instance_id is not None:
        _rejected[caller.worker.instance_id] += count


def forget_notes() -> None:
    """Let the next sign of life be written again."""
    _noted.clear()
    _rejected.clear()


def _services(caller: Caller, pipelines: Sequence[str], projects: Sequence[int]) -> list[int]:
    pulling = ProcessingService.objects.pulling()
    if caller.service_id is not None:
        return list(pulling.filter(pk=caller.service_id).values_list("pk", flat=True))
    nobodys = Q(registered_by__isnull=True, keys__isnull=True)
    within = pulling.filter(Q(registered_by=caller.user_id) | nobodys, projects__in=projects)
    if caller.introduction.name:
        within = within.filter(name=caller.introduction.name)
    elif pipelines:
        within = within.filter(pipelines__slug__in=pipelines)
    found = list(within.order_by("pk").values_list("pk", "registered_by").distinct())
    own = [service for service, account in found if account is not None]
    meant = [service for service, _ in found] if len(found) == 1 else []
    return own or meant

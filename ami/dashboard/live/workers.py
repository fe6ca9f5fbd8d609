"""Workers as pages show them: who is there, what they hold, and what they did."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import structlog
from django.db.models import Q, QuerySet, Sum

from ami.base import clock
from ami.dashboard.live import words
from ami.jobs.models import JobContribution
from ami.main.models import Project, ProjectMembership
from ami.ml.models import WorkerInstance
from ami.taskqueue import OpenLeases, PendingStateUnavailable

logger = structlog.get_logger(__name__)


@dataclass(frozen=True)
class WorkerRow:
    """One worker. Counts are of the projects that the person belongs to; `holds` is None without Redis."""

    worker: WorkerInstance
    holds: int | None
    processed: int
    failed: int


def workers_of(projects: Collection[int]) -> QuerySet[WorkerInstance]:
    """Workers of the services of these projects, and old ones that call with a token of their members."""
    members = ProjectMembership.objects.filter(project__in=projects).values("user")
    owners = Project.objects.filter(pk__in=projects, owner__isnull=False).values("owner")
    of_service = WorkerInstance.objects.filter(service__projects__in=projects).values("pk")
    return WorkerInstance.objects.select_related("service", "user").filter(
        Q(pk__in=of_service) | Q(user__in=members) | Q(user__in=owners)
    )


def rows_of(workers: Sequence[WorkerInstance], projects: Collection[int]) -> list[WorkerRow]:
    """The workers with what they hold and did; one statement, and one call to Redis."""
    done = (
        JobContribution.objects.filter(instance__in=workers, job__project__in=projects)
        .values_list("instance")
        .annotate(Sum("processed"), Sum("failed"))
    )
    by_worker = {worker: (processed, failed) for worker, processed, failed in done}
    held = held_by(workers)
    return [
        WorkerRow(
            worker,
            None if held is None else held.get(worker.lease_key, 0),
            *by_worker.get(worker.pk, (0, 0)),
        )
        for worker in workers
    ]


def heard(worker: WorkerInstance) -> str:
    """How long ago it called."""
    return f"{words.duration(clock.now() - worker.last_seen)} ago"


def held_by(workers: Sequence[WorkerInstance]) -> dict[str, int] | None:
    """Open leases by worker; None while Redis is away."""
    try:
        return OpenLeases().counts([worker.lease_key for worker in workers])
    except PendingStateUnavailable as error:
        logger.warning("workers.leases_unknown", error=error.message)
        return None

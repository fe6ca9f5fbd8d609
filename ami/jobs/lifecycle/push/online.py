"""Which services can work on a job now, the quickest first; those that turn out to be away are left out."""

from __future__ import annotations

from dataclasses import dataclass

import structlog
from django.db.models import F, QuerySet

from ami.jobs.lifecycle.holders import NAME_MAX, Worker
from ami.jobs.models import Job
from ami.ml.models import ProcessingService
from ami.ml.services import check_these, note_away

logger = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class OnlineService:
    """A push service that was there when it was asked last."""

    row: ProcessingService
    endpoint: str

    @property
    def worker(self) -> Worker:
        """Under which name its work is recorded."""
        return Worker(f"service:{self.row.pk}", self.row.name[:NAME_MAX])


class Services:
    """The push services of a job's pipeline in its project."""

    def __init__(self, job: Job) -> None:
        """Reads them; where none is known to be there, asks them all, which takes seconds."""
        self._job = job
        self._online = self._read()
        if not self._online and check_these(self._all()):
            self._online = self._read()

    def best(self) -> OnlineService | None:
        """The one that answered quickest; None when none is there."""
        return self._online[0] if self._online else None

    def drop(self, service: OnlineService, why: str) -> None:
        """It is away: nobody pushes to it until it is seen again."""
        if service in self._online:
            self._online.remove(service)
            logger.warning("push.service_away", job_id=self._job.pk, service_id=service.row.pk, error=why)
            note_away(service.row, service.endpoint)

    def _all(self) -> QuerySet[ProcessingService]:
        return ProcessingService.objects.pushed_to().filter(
            projects=self._job.project_id, pipelines=self._job.pipeline_id
        )

    def _read(self) -> list[OnlineService]:
        found = self._all().filter(last_seen_live=True)
        return [
            OnlineService(row, row.endpoint_url or "")
            for row in found.order_by(F("last_seen_latency").asc(nulls_last=True), "pk")
        ]

"""What tests of tracing ask for: the words about images, and a worker that is online."""

from __future__ import annotations

from datetime import datetime

from ami.base import clock
from ami.jobs.models import Job
from ami.jobs.tests.world import World
from ami.jobs.tracing import trace
from ami.jobs.tracing.phrases import moment
from ami.ml.models import ProcessingService, WorkerInstance

NOBODY = ", but no worker is there for it"


def words(job: Job) -> list[tuple[int, str, str]]:
    """How many images are in each place, and both sentences about them."""
    return [(finding.count, finding.where, finding.next) for finding in trace(job.pk).findings]


def the_words(job: Job, image_id: int | None = None) -> tuple[str, str]:
    """Both sentences about the only group of images, or about one image."""
    (finding,) = trace(job.pk, image_id).findings
    return finding.where, finding.next


def seen(job: Job) -> tuple[datetime, str, str]:
    """When it was looked, and both sentences about the only group of images."""
    found = trace(job.pk)
    (finding,) = found.findings
    return found.now, finding.where, finding.next


def at(moment_or_none: datetime | None, now: datetime) -> str:
    """A time of a row as the words tell it; fails if the row has none."""
    assert moment_or_none is not None
    return moment(moment_or_none, now)


def places(job: Job) -> dict[str, int]:
    """How many images are in each place."""
    found: dict[str, int] = {}
    for finding in trace(job.pk).findings:
        found[str(finding.place)] = found.get(finding.place, 0) + finding.count
    return found


def line(job: Job, label: str) -> str:
    """One line of the head."""
    return dict(trace(job.pk).head)[label]


def online_worker(world: World, name: str = "alice's gpu") -> WorkerInstance:
    """A worker of a service that offers the pipeline in the project, heard of just now."""
    service = ProcessingService.objects.create(name="Lab", last_seen=clock.now(), last_seen_live=True)
    service.projects.add(world.project)
    service.pipelines.add(world.pipeline)
    return WorkerInstance.objects.create(
        holder=f"service:{service.pk}", name=name, service=service, last_seen=clock.now()
    )

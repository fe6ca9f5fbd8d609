"""Starting a job from what was chosen in a form, and what is known of it beforehand."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.db import transaction

from ami.base.database import rows
from ami.dashboard import counts
from ami.dashboard.counts import Tally
from ami.jobs.lifecycle.create import create_job, dispatch_mode_for
from ami.jobs.lifecycle.enqueue import run_job
from ami.jobs.lifecycle.processed import to_do
from ami.jobs.models import Job
from ami.jobs.models.job import PRIORITY_DEFAULT
from ami.jobs.waiting import lack_of_workers
from ami.main.models import Deployment, Project, SourceImageCollection
from ami.ml.models import Pipeline
from ami.users.models import User

LOOKED_AT = 5_000
"""Captures that are looked at for the forecast: enough to know, and done in a moment."""

_DONE = """
SELECT count(*), count(*) FILTER (WHERE NOT {to_do}) FROM (
    SELECT id FROM main_sourceimage i WHERE {scope} ORDER BY id LIMIT %(most)s
) c
"""
_SCOPES = {
    "station": "i.deployment_id = %(station)s",
    "set": """i.id IN (SELECT sourceimage_id FROM main_sourceimagecollection_images
        WHERE sourceimagecollection_id = %(set)s ORDER BY sourceimage_id LIMIT %(most)s)""",
    "project": "i.project_id = %(project)s",
}


@dataclass(frozen=True)
class Forecast:
    """What would happen: how many captures there are, how many were done already, and who would work."""

    captures: Tally
    looked_at: int
    done: int
    """Of those that were looked at."""
    lack: str
    """Why nobody would work on it now; empty if somebody would."""

    @property
    def is_whole(self) -> bool:
        """Whether every capture was looked at."""
        return self.looked_at >= int(self.captures)


def start_job(project: Project, chosen: dict[str, Any], user: User) -> Job:
    """Create the job and submit it, both or neither. Raises InvalidInput with a sentence."""
    with transaction.atomic():
        job = create_job(
            name=chosen["name"] or _name(chosen),
            project=project,
            pipeline=chosen["pipeline"],
            source_image_collection=chosen["capture_set"],
            deployment=chosen["station"],
            limit=chosen["limit"],
            shuffle=chosen["shuffle"],
            priority=chosen["priority"] or PRIORITY_DEFAULT,
            created_by=user,
        )
        run_job(job)
    return job


def forecast(
    project: Project,
    pipeline: Pipeline,
    capture_set: SourceImageCollection | None,
    station: Deployment | None,
) -> Forecast:
    """What a job over these captures would find: a constant number of statements, each of them bounded."""
    job = Job(project=project, pipeline=pipeline, dispatch_mode=dispatch_mode_for(project, pipeline))
    condition, wanted = to_do(job)
    scope, captures = _scope(project, capture_set, station)
    wanted |= {
        "project": project.pk,
        "station": station.pk if station else None,
        "set": capture_set.pk if capture_set else None,
        "most": LOOKED_AT,
    }
    looked_at, done = rows(_DONE.format(to_do=condition, scope=_SCOPES[scope]), wanted)[0]
    return Forecast(captures, looked_at, done, lack_of_workers(job))


def _scope(
    project: Project, capture_set: SourceImageCollection | None, station: Deployment | None
) -> tuple[str, Tally]:
    if station is not None:
        return "station", counts.captures_by_station([station.pk])[station.pk]
    of_project = counts.captures_by_project([project.pk])[project.pk]
    if capture_set is None or capture_set.holds_whole_project:
        return "project", of_project
    return "set", counts.captures_by_set([capture_set], of_project)[capture_set.pk]


def _name(chosen: dict[str, Any]) -> str:
    place = chosen["capture_set"] or chosen["station"]
    return f"{chosen['pipeline'].name}: {place.name}"[:255]

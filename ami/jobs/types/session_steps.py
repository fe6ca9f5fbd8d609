"""The steps of grouping captures into sessions, which two kinds of jobs have in common."""

from __future__ import annotations

from datetime import datetime

from ami.base.errors import InvalidInput
from ami.jobs.lifecycle.work import Work
from ami.jobs.models import Job
from ami.jobs.progress import Figure, Stage
from ami.main import sessions
from ami.main.models import Deployment

NAME = "Regroup sessions"
FIGURES = (
    Figure("captures_grouped", "Captures grouped"),
    Figure("events_created", "Events created"),
    Figure("events_touched", "Events touched"),
    Figure("empty_events_deleted", "Empty events deleted"),
    Figure("duplicate_timestamps", "Duplicate timestamps"),
    Figure("ungrouped_captures", "Ungrouped captures"),
    Figure("captures_missing_timestamp", "Captures missing timestamp"),
)
PLANNED, HALF, DONE = 0.3, 0.6, 1.0


def stage(key: str) -> Stage:
    """The stage as it is before the job begins."""
    return Stage(key, NAME, figures=FIGURES)


def station_of(job: Job) -> Deployment:
    """The station of a job, with its project and data source. Raises InvalidInput if it names none."""
    if job.deployment_id is None:
        raise InvalidInput("This job names no deployment: choose one and create it again.")
    return Deployment.objects.select_related("project", "data_source").get(pk=job.deployment_id)


def regroup_step(work: Work, stage_key: str) -> bool:
    """The next step of grouping; True when there is more to do.

    First the sessions, then their captures, some sessions at a time, then the counts; `grouping` in the
    cursor says how far it is.
    """
    deployment_id = station_of(work.job).pk
    grouping = work.cursor.get("grouping")
    if grouping is None:
        with work.commit():
            plan = sessions.plan(deployment_id)
            work.cursor["grouping"] = {"after": 0, "planned": plan.at.isoformat()}
            figures = {"events_created": plan.created, "empty_events_deleted": plan.deleted}
            work.report(stage_key, PLANNED, events_touched=0, **figures)
        return True
    with work.commit():
        planned = datetime.fromisoformat(grouping["planned"])
        assigned = sessions.assign(deployment_id, grouping["after"], planned)
        if assigned is None:
            _report(work, stage_key, sessions.tally(deployment_id))
            return False
        after, touched = assigned
        work.cursor["grouping"] = grouping | {"after": after}
        work.report(stage_key, HALF, events_touched=work.figure(stage_key, "events_touched") + touched)
    return True


def _report(work: Work, stage_key: str, tally: sessions.Tally) -> None:
    work.report(
        stage_key,
        DONE,
        captures_grouped=tally.grouped,
        duplicate_timestamps=tally.duplicate_times,
        ungrouped_captures=tally.ungrouped,
        captures_missing_timestamp=tally.without_time,
    )

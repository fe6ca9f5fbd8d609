"""Groups the captures of a station into sessions."""

from __future__ import annotations

from collections.abc import Sequence

from ami.jobs.lifecycle.work import Work
from ami.jobs.models import Job
from ami.jobs.progress import Stage
from ami.jobs.types.session_steps import regroup_step, stage, station_of


class RegroupEvents:
    """A job over one station."""

    key = "regroup_events"
    stages: Sequence[Stage] = (stage("regroup_events"),)

    def check(self, job: Job) -> None:
        """It names a station."""
        station_of(job)

    def step(self, work: Work) -> bool:
        """The sessions, or the captures of a few of them."""
        return regroup_step(work, self.key)

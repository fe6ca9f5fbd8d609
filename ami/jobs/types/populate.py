"""Fills a capture set: one statement, whatever the method."""

from __future__ import annotations

from collections.abc import Sequence

from ami.base.errors import InvalidInput
from ami.jobs.lifecycle.work import Work
from ami.jobs.models import Job
from ami.jobs.progress import Figure, Stage
from ami.main.models import SourceImageCollection
from ami.main.sampling.parameters import check_parameters
from ami.main.sampling.populate import populate


class PopulateCaptureSet:
    """A job over one capture set."""

    key = "populate_captures_collection"
    stages: Sequence[Stage] = (
        Stage(key, "Populate capture set", figures=(Figure("captures_added", "Captures added"),)),
    )

    def check(self, job: Job) -> None:
        """It names a set whose parameters make sense: they may be older than the rules."""
        capture_set = _set_of(job)
        check_parameters(capture_set.method, capture_set.kwargs)

    def step(self, work: Work) -> bool:
        """All of it. The draw depends on job and run alone, so it is the same after a crash."""
        self.check(work.job)
        with work.commit():
            added = populate(_set_of(work.job), seed=work.job.pk << 16 | work.job.run)
            work.report(self.key, 1.0, captures_added=added)
        return False


def _set_of(job: Job) -> SourceImageCollection:
    """The set as it is now. Raises InvalidInput if there is none."""
    capture_set = SourceImageCollection.objects.filter(pk=job.source_image_collection_id or 0).first()
    if capture_set is None:
        raise InvalidInput("This job names no capture set, or it was deleted; choose one.")
    return capture_set

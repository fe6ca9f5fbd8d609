"""What a step of an internal job works with: its job, where it stands, and the one way to write that down."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from django.db import transaction
from django.utils import timezone

from ami.base.failpoints import hit
from ami.jobs.lifecycle import claims
from ami.jobs.lifecycle.claims import Claim
from ami.jobs.models import Job, JobStage
from ami.jobs.progress import Figure, Stage
from ami.jobs.states import JobState


class ClaimLost(Exception):
    """The job ended, was started again, or somebody else drives it: whoever worked on it stops."""


class Work:
    """A job under a claim. `cursor` is where the last commit left it, any JSON object; empty at first."""

    def __init__(self, claim: Claim, job: Job, stages: list[Stage]) -> None:
        """`job` was read under the claim, `stages` are those that it has now."""
        self.claim = claim
        self.job = job
        self.cursor: dict[str, Any] = dict(job.work.get("cursor", {}))
        self._stages = {stage.key: stage for stage in stages}

    def stage(self, key: str) -> Stage:
        """A stage as it was reported last."""
        return self._stages[key]

    def report(self, key: str, progress: float, **figures: float | str) -> None:
        """How far a stage is (0 to 1), and its figures; those left out stay. The next commit shows it."""
        stage = self._stages[key]
        named = tuple(
            Figure(figure.key, figure.name, figures.get(figure.key, figure.value)) for figure in stage.figures
        )
        status = JobState.SUCCESS if progress >= 1 else JobState.STARTED
        self._stages[key] = replace(stage, status=status, progress=min(progress, 1.0), figures=named)

    def figure(self, key: str, figure: str) -> int:
        """A count that was reported before; 0 if none was."""
        found = next(known.value for known in self._stages[key].figures if known.key == figure)
        return int(found) if found != "" else 0

    @contextmanager
    def commit(self) -> Iterator[None]:
        """What the block writes, the cursor and the stages: all in one transaction, or nothing of it.

        Raises ClaimLost, before the block, if the job is not ours any more.
        """
        with transaction.atomic():
            if not claims.extend(self.claim):
                raise ClaimLost
            yield
            write_stages(self.job.pk, list(self._stages.values()))
            Job.objects.filter(pk=self.job.pk).update(
                work={"cursor": self.cursor, "tries": 0}, updated_at=timezone.now()
            )
            hit("work.before_commit")
        hit("work.after_commit")

    def keep(self) -> None:
        """Hold the claim for longer, in work that commits nothing. Raises ClaimLost."""
        if not claims.extend(self.claim):
            raise ClaimLost


def write_stages(job_id: int, stages: list[Stage]) -> None:
    """Make the rows of these stages say what they say. Call inside a transaction that holds the job's row."""
    rows = {row.key: row for row in JobStage.objects.filter(job_id=job_id)}
    for stage in stages:
        row = rows[stage.key]
        row.status, row.progress = stage.status, stage.progress
        row.params = [figure.as_wire() for figure in stage.figures]
    JobStage.objects.bulk_update(rows.values(), ["status", "progress", "params"])


def read_stages(job_id: int) -> list[Stage]:
    """The stages of a job as their rows say."""
    return [
        Stage(
            row.key,
            row.name,
            JobState(row.status),
            row.progress,
            tuple(Figure(param["key"], param["name"], param["value"]) for param in row.params),
        )
        for row in JobStage.objects.filter(job_id=job_id).order_by("position")
    ]

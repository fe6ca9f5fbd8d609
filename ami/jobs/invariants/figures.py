"""I4, exact counters: the figures that a job shows are those of its ledger."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from django.conf import settings
from django.db.models import Exists, OuterRef, QuerySet

from ami.jobs import ledger
from ami.jobs.invariants.violation import Violation
from ami.jobs.models import InboxEntry, Job, JobContribution, JobStage
from ami.jobs.progress import Counts, ml_stages
from ami.jobs.states import FINAL, JobState


def wrong_figures(job_ids: Sequence[int] | None, *, at_rest: bool) -> Iterator[Violation]:
    """The jobs whose stages or contributions differ from a recount. `at_rest`: look at running ones too.

    Those that nobody has run yet show no figures.
    """
    jobs = Job.objects.exclude(status=JobState.CREATED)
    if job_ids is not None:
        jobs = jobs.filter(pk__in=job_ids)
    for job in (jobs if at_rest else _resting(jobs)).order_by("pk"):
        counts, shares = ledger.count_by_worker(job.pk)
        shown = {stage.key: stage for stage in JobStage.objects.filter(job=job)}
        if shown and (difference := _difference(job, counts, shown)):
            yield Violation("I4", job.pk, difference)
        credited = set(
            JobContribution.objects.filter(job=job).values_list("instance_id", "processed", "failed")
        )
        earned = {(share.instance_id, share.processed, share.failed) for share in shares}
        if wrong := _without_zeros(credited ^ earned):
            yield Violation("I4", job.pk, f"contributions of workers differ from the ledger: {sorted(wrong)}")


def _resting(jobs: QuerySet[Job]) -> QuerySet[Job]:
    """Ended jobs of which nothing waits to be saved or shown."""
    waiting = InboxEntry.objects.filter(job=OuterRef("pk"))
    return jobs.filter(
        ~Exists(waiting), status__in=FINAL, refresh_due_at__isnull=True, projected_at__isnull=False
    )


def _difference(job: Job, counts: Counts, shown: dict[str, JobStage]) -> str:
    wanted = ml_stages(
        counts,
        status=JobState(job.status),
        collected=job.collected_at is not None,
        threshold=settings.FAILURE_THRESHOLD,
        delay=job.delay,
    )
    for stage in wanted:
        row = shown.get(stage.key)
        figures: list[Any] = [figure.as_wire() for figure in stage.figures]
        if row is None:
            return f"the stage {stage.key} is missing"
        if row.params != figures:
            return f"the stage {stage.key} shows {_values(row.params)}, the ledger says {_values(figures)}"
        if row.status != stage.status:
            return f"the stage {stage.key} shows {row.status} instead of {stage.status}"
    return ""


def _values(figures: list[dict[str, Any]]) -> dict[str, Any]:
    return {figure["key"]: figure["value"] for figure in figures}


def _without_zeros(entries: set[tuple[int, int, int]]) -> set[tuple[int, int, int]]:
    return {entry for entry in entries if entry[1] or entry[2]}

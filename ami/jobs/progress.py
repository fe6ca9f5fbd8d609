"""Stage arithmetic and the verdict: what a job's numbers mean. Pure: counts in, stages out.

Rules of docs/reference/lifecycle.md, "Numbers": total = ledger rows; `process` counts an image once its
result was accepted or it failed; `results` counts it once its predictions are saved or it failed. Cancelled
images count in no stage; only a cancelled job goes on showing them as remaining, so that people see how far
it came.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from ami.jobs.states import FINAL, JobState


@dataclass(frozen=True, slots=True)
class Counts:
    """The ledger of one job, counted at one moment. Unit: images, except the last two."""

    total: int = 0
    pending: int = 0
    received: int = 0
    processed: int = 0
    failed: int = 0
    cancelled: int = 0
    detections: int = 0
    classifications: int = 0

    @property
    def open(self) -> int:
        """Images whose outcome is still unknown."""
        return self.pending + self.received

    @property
    def counted(self) -> int:
        """Images that stages speak of: all but the cancelled ones."""
        return self.total - self.cancelled


@dataclass(frozen=True, slots=True)
class Figure:
    """One number of a stage as the wire shows it; `""` until it is known."""

    key: str
    name: str
    value: int | float | str = ""

    def as_wire(self) -> dict[str, Any]:
        """In the contract's key order."""
        return {"name": self.name, "key": self.key, "category": "default", "value": self.value}


@dataclass(frozen=True, slots=True)
class Stage:
    """One stage of a job."""

    key: str
    name: str
    status: JobState = JobState.CREATED
    progress: float = 0.0
    figures: tuple[Figure, ...] = field(default=())


def new_ml_stages(delay: int = 0) -> list[Stage]:
    """The stages of an ML job that has not begun; `delay` in seconds adds a stage in front."""
    stages = [
        Stage("collect", "Collect", figures=(Figure("total_images", "Total Images"),)),
        Stage(
            "process",
            "Process",
            figures=(
                Figure("processed", "Processed"),
                Figure("remaining", "Remaining"),
                Figure("failed", "Failed"),
            ),
        ),
        Stage(
            "results",
            "Results",
            figures=(
                Figure("captures", "Captures"),
                Figure("detections", "Detections"),
                Figure("classifications", "Classifications"),
            ),
        ),
    ]
    if delay:
        stages.insert(
            0, Stage("delay", "Delay", figures=(Figure("delay", "Delay", delay), Figure("mood", "Mood")))
        )
    return stages


def verdict(counts: Counts, threshold: float) -> JobState:
    """How a job whose images are all final ends: FAILURE above the threshold; exactly at it is SUCCESS."""
    if counts.counted and counts.failed / counts.counted > threshold:
        return JobState.FAILURE
    return JobState.SUCCESS


def ml_stages(
    counts: Counts, *, status: JobState, collected: bool, threshold: float, delay: int = 0
) -> list[Stage]:
    """The stages of an ML job with these counts.

    `status` is the job's state, `collected` whether every capture has its ledger row.
    """
    handled = counts.received + counts.processed + counts.failed
    saved = counts.processed + counts.failed
    whole = counts.total if status == JobState.REVOKED else counts.counted

    def stage(key: str, name: str, done: int, *figures: Figure) -> Stage:
        if collected and done >= whole:
            return Stage(key, name, verdict(counts, threshold), 1.0, figures)
        begun = JobState.STARTED if done else JobState.CREATED
        return Stage(
            key,
            name,
            JobState.REVOKED if status == JobState.REVOKED else begun,
            done / whole if collected else 0.0,  # while the whole still grows, a share of it would fall again
            figures,
        )

    return [
        *([_delay_stage(delay, status)] if delay else []),
        Stage(
            "collect",
            "Collect",
            JobState.SUCCESS if collected else _under_way(status),
            1.0 if collected else 0.0,
            (Figure("total_images", "Total Images", counts.total),),
        ),
        stage(
            "process",
            "Process",
            handled,
            Figure("processed", "Processed", handled),
            Figure("remaining", "Remaining", whole - handled),
            Figure("failed", "Failed", counts.failed),
        ),
        stage(
            "results",
            "Results",
            saved,
            Figure("captures", "Captures", counts.processed),
            Figure("detections", "Detections", counts.detections),
            Figure("classifications", "Classifications", counts.classifications),
        ),
    ]


def overall(stages: list[float]) -> float:
    """A job's progress: the mean of its stages' (0 to 1)."""
    return sum(stages) / len(stages) if stages else 0.0


def _delay_stage(delay: int, status: JobState) -> Stage:
    begun = status not in {JobState.CREATED, JobState.PENDING}
    return Stage(
        "delay",
        "Delay",
        JobState.SUCCESS if begun else status,
        1.0 if begun else 0.0,
        (Figure("delay", "Delay", delay), Figure("mood", "Mood", "🙂" if begun else "😴")),
    )


def _under_way(status: JobState) -> JobState:
    return status if status in FINAL or status in {JobState.CREATED, JobState.PENDING} else JobState.STARTED

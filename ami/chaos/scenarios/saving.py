"""Celery dies while it saves results."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ami.chaos.database import ask
from ami.chaos.failpoints import APPLYING
from ami.chaos.scenario import scenario

if TYPE_CHECKING:
    from ami.chaos.run import Run


@scenario(
    "F3",
    "Celery is killed at each step of applying results",
    injects="kill -9 for the process that comes first to this step, somewhere in the middle of the job",
    holds="What it had in hand is taken up again and saved once; heal: until that is done.",
    variants=APPLYING,
)
def killed_while_applying(run: Run) -> None:
    """Heal time per step: until the inbox rows of that moment are gone; for the last steps, until the end."""
    point = run.variant
    points = run.platform.failpoints
    with run.workers():
        job = run.start_job()
        if not point.startswith("finish."):
            run.somewhere(job)
        points.arm(point)
        run.until(lambda: points.fired(point), f"somebody comes to {point}")
        run.fault_over()
        in_hand = [row[0] for row in ask("SELECT id FROM jobs_inboxentry WHERE job_id = %s", [job.id])]
        if not point.startswith("finish."):
            run.until(lambda: not _waiting(in_hand), "what was in hand is saved")
            run.healed()
        run.until(lambda: run.ended(job), "the job ends")
        if point == "finish.before_cleanup":
            run.until(lambda: run.clean(job), "its queue is gone")
        run.healed()


def _waiting(inbox_ids: list[int]) -> bool:
    return bool(ask("SELECT 1 FROM jobs_inboxentry WHERE id = ANY(%s) LIMIT 1", [inbox_ids]))

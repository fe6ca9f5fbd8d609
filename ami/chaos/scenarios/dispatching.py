"""Celery dies, or NATS refuses, while a job is dispatched."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from ami.chaos import jetstream
from ami.chaos.database import value
from ami.chaos.failpoints import DISPATCHING
from ami.chaos.scenario import scenario
from ami.taskqueue import TaskQueueManager

if TYPE_CHECKING:
    from ami.chaos.oracle import ChaosJob
    from ami.chaos.run import Run

HALF = "publish.half"
FULL_SECONDS = 3.0


@scenario(
    "F2",
    "Celery is killed while it dispatches a job",
    injects="kill -9 at this step of collecting and publishing; at publish.half some images are published",
    holds="Dispatching goes on where it was; no image has two messages.",
    variants=(*DISPATCHING, HALF),
)
def killed_while_dispatching(run: Run) -> None:
    """Heal: until all images are published."""
    points = run.platform.failpoints
    points.arm(run.variant)
    job = run.start_job(run.night(images=max(run.images, 150)))
    run.until(lambda: points.fired(run.variant), f"somebody comes to {run.variant}")
    if run.variant == HALF:
        run.platform.programs.kill_children("celery")
    run.fault_over()
    run.until(lambda: _all_published(job), "all images are published")
    run.healed()
    standing = TaskQueueManager().message_count(job.id) or 0
    run.notes["published twice"] = standing - len(job.night.image_ids)
    run.must(
        standing == len(job.night.image_ids), f"I3 {standing} messages for {len(job.night.image_ids)} images"
    )
    with run.workers():
        run.finish(job)


@scenario(
    "F13",
    "NATS has no room while a job is dispatched",
    injects=f"the stream, or the whole store, refuses messages for {FULL_SECONDS:.0f} s",
    holds="The job stays on its way, nothing fails, and dispatching goes on when there is room.",
    variants=("stream full", "store full"),
)
def no_room(run: Run) -> None:
    """Heal: from the moment when there is room until the job's end."""
    if run.variant == "store full":
        _store_full(run)
    else:
        _stream_full(run)
    with run.workers():
        run.finish()


def _stream_full(run: Run) -> None:
    points = run.platform.failpoints
    points.arm(HALF)
    job = run.start_job()
    run.until(lambda: points.fired(HALF), "some images are published")
    before = jetstream.limit_messages(
        job.id, value("SELECT published_to FROM jobs_job WHERE id = %s", [job.id])
    )
    points.release(HALF)
    _wait_full(run, job)
    jetstream.limit_messages(job.id, before)
    run.fault_over()


def _store_full(run: Run) -> None:
    nats = run.platform.stack.nats
    nats.limits = {"max_file_store": 4_000}
    try:
        nats.restart()
        job = run.start_job()
        _wait_full(run, job)
    finally:
        nats.limits = {}
        nats.restart()
    run.fault_over()


def _wait_full(run: Run, job: ChaosJob) -> None:
    time.sleep(FULL_SECONDS)
    run.must(not run.ended(job), "I7 the job ended although its images could not be published")
    run.must(not _all_published(job), "nothing was refused")


def _all_published(job: ChaosJob) -> bool:
    """Whether the cursor stands at the last row, and nobody is dispatching any more."""
    return bool(
        value(
            """SELECT driver = '' AND published_to > 0 AND published_to = (
                SELECT max(position) FROM jobs_jobtask t WHERE t.job_id = j.id)
            FROM jobs_job j WHERE id = %s""",
            [job.id],
        )
    )

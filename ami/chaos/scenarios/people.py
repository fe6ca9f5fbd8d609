"""What people do to jobs while workers are at them: cancel, retry, start the same again."""

from __future__ import annotations

import time
from collections import Counter
from typing import TYPE_CHECKING

from ami.chaos.database import value
from ami.chaos.scenario import scenario
from ami.jobs.states import JobState

if TYPE_CHECKING:
    from ami.chaos.oracle import ChaosJob
    from ami.chaos.run import Run

STILL_SECONDS = 2.0
"""How long a cancelled job is watched for a change that must not come."""
STOP_SECONDS = 10.0


@scenario(
    "F28",
    "A job is cancelled",
    injects="cancel while it is dispatched, while everything is leased, while results wait in Celery, "
    "while workers are at work",
    holds="What was accepted is saved, the rest is cancelled; the state is never left; "
    f"workers stop within {STOP_SECONDS:.0f} s.",
    variants=("while dispatched", "all leased", "results in Celery", "workers at work"),
)
def cancelled(run: Run) -> None:
    """Heal: from the cancel until nothing is left to do."""
    {
        "while dispatched": _while_dispatched,
        "all leased": _all_leased,
        "results in Celery": _results_in_celery,
        "workers at work": _workers_at_work,
    }[run.variant](run)
    (job,) = run.jobs
    job.status, job.may_cancel = JobState.REVOKED, True
    run.until(lambda: run.clean(job) and not _open(job), "nothing of the job is left")
    run.healed()
    time.sleep(STILL_SECONDS)


def _while_dispatched(run: Run) -> None:
    points = run.platform.failpoints
    points.arm("publish.half")
    job = run.start_job()
    run.until(lambda: points.fired("publish.half"), "half of the images are published")
    _cancel(run, job)
    points.release("publish.half")


def _all_leased(run: Run) -> None:
    job = run.start_job()
    worker = run.hand("holder")
    held = worker.hold(job.id, run.images)
    _cancel(run, job)
    told = Counter(worker.leases("extend", held))
    run.must(told == {"cancelled": len(held)}, f"I12 leases of a cancelled job were answered {dict(told)}")
    answers = Counter(worker.post(job.id, held))
    run.must(answers == {"cancelled": len(held)}, f"I6 results after the cancel: {dict(answers)}")


def _results_in_celery(run: Run) -> None:
    job = run.start_job()
    worker = run.hand("poster")
    held = worker.hold(job.id, run.images // 2)
    with run.platform.programs.frozen("celery"):
        answers = Counter(worker.post(job.id, held))
        run.must(answers == {"queued": len(held)}, f"I8 results before the cancel: {dict(answers)}")
        _cancel(run, job)


def _workers_at_work(run: Run) -> None:
    with run.workers():
        job = run.start_job(run.night(seconds_per_image=0.3))
        run.somewhere(job, 0.1, 0.3)
        _cancel(run, job)
        seen = run.work.length()
        last = time.monotonic()
        while time.monotonic() < last + STILL_SECONDS:
            if run.work.length() != seen:
                seen, last = run.work.length(), time.monotonic()
            time.sleep(0.05)
        stopped = last - run.fault_at
    run.notes["last image begun after s"] = stopped
    run.must(stopped < STOP_SECONDS, f"I12 workers went on for {stopped:.1f} s")


def _cancel(run: Run, job: ChaosJob) -> None:
    run.tell(job, "cancel")
    run.fault_over()


def _open(job: ChaosJob) -> bool:
    return bool(value("SELECT count(*) FROM jobs_jobtask WHERE job_id = %s AND status IN (0, 1)", [job.id]))


@scenario(
    "F30",
    "Two jobs over the same captures with the same pipeline",
    injects="both run at the same time",
    holds="Each has its own ledger and ends exactly; the predictions are there once.",
)
def twins(run: Run) -> None:
    """Of its own: work begun twice is what two jobs mean."""
    with run.workers():
        night = run.night()
        run.start_job(night)
        run.start_job(night)
        run.finish()


@scenario(
    "F31",
    "A job is retried while old workers still post",
    injects="cancel and retry while everything is leased; then results of both runs come mixed",
    holds="Results of the old run never count in the new one.",
)
def retried(run: Run) -> None:
    """Heal: from the retry until the job's end."""
    job = run.start_job()
    old, new = run.hand("old"), run.hand("new")
    before = old.hold(job.id, run.images)
    run.tell(job, "cancel")
    run.tell(job, "retry")
    run.fault_over()
    after = new.hold(job.id, run.images)
    crossed = 0
    posts = [(old, [task]) for task in before] + [(new, [task]) for task in after]
    run.chance.shuffle(posts)
    for worker, tasks in posts:
        (status,) = worker.post(job.id, tasks)
        expected = "duplicate" if worker is old else "queued"
        crossed += worker is old and status == "queued"
        run.must(status == expected, f"I6 a result of the {'old' if worker is old else 'new'} run: {status}")
    run.notes["crossed results"] = crossed
    run.finish(job)

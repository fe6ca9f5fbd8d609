"""Workers that die, lose their right to work, or do not come."""

from __future__ import annotations

import signal
import time
from typing import TYPE_CHECKING

from ami.chaos.ageing import age
from ami.chaos.database import ask, value
from ami.chaos.keys import Key
from ami.chaos.pipeline import POISON
from ami.chaos.scenario import scenario

if TYPE_CHECKING:
    from ami.chaos.client import HandWorker
    from ami.chaos.oracle import ChaosJob
    from ami.chaos.run import Run

SLOW = 0.2
"""Seconds per image, so that a worker is in the middle of something when it dies."""
DAY_SECONDS = 86_400.0
REFUSED_SECONDS = 5.0
LOOK_SECONDS = 3.0


@scenario(
    "F23",
    "An image that kills every worker",
    injects="workers die (kill -9) of one image, and are started again",
    holds="The image fails after the attempts that it has, and says so; no other fails; the job ends.",
)
def poison(run: Run) -> None:
    """Of its own: how many images were begun in vain."""
    night = run.night()
    victim = run.chance.choice(night.image_ids)
    run.world.configure(night, {POISON: [victim]})
    with run.workers():
        job = run.start_job(night)
        job.failed = frozenset([victim])
        run.finish(job)
    code = value("SELECT error_code FROM jobs_jobtask WHERE job_id = %s AND image_id = %s", [job.id, victim])
    run.must(code == "delivery_exhausted", f"I2 the image failed with {code!r}")
    run.notes["images begun in vain"] = run.work.begun(night.image_ids).total() - run.images + 1


@scenario(
    "F34",
    "A worker loses its right in the middle of a job",
    injects="its key is revoked, or rotated; its service leaves the project; its user's token is deleted",
    holds=f"It is refused within {REFUSED_SECONDS:.0f} s; what it holds goes to others, nothing is stranded. "
    "A rotated key strands nothing.",
    variants=("revoked", "rotated", "service removed", "token deleted"),
)
def without_right(run: Run) -> None:
    """Heal: until the job's end. Of its own: seconds until the worker is refused."""
    job = run.start_job()
    key = Key.make(run.operator, job.night.project_id)
    token = run.world.another_token() if run.variant == "token deleted" else key.secret
    worker = run.hand("outcast", token)
    held = worker.hold(job.id, run.images // 2)
    worker.post(job.id, held[::2])
    if run.variant == "rotated":
        worker = run.hand("renewed", key.rotate())
        run.fault_over()
        answers = worker.post(job.id, held[1::2])
        run.must(set(answers) == {"queued"}, f"I6 results under the new key were answered {set(answers)}")
    else:
        if run.variant == "revoked":
            key.revoke()
        elif run.variant == "service removed":
            run.world.dismiss(key.service)
        else:
            worker.call("POST", "/auth/token/logout/")
        run.fault_over()
        run.notes["refused after s"] = _until_refused(run, worker, job)
    with run.workers():
        run.finish(job)


def _until_refused(run: Run, worker: HandWorker, job: ChaosJob) -> float:
    began = time.monotonic()

    def refused() -> bool:
        answer = worker.call("POST", f"/jobs/{job.id}/tasks/", json={"batch_size": 1})
        if answer.ok and (tasks := answer.json()["tasks"]):
            leases = {"leases": [task["reply_subject"] for task in tasks]}
            worker.call("POST", "/tasks/release/", json=leases)
        return answer.status_code in {401, 403, 404}

    # Asked often enough in a row to have asked every web process.
    run.until(lambda: all(refused() for _ in range(8)), "the worker is refused", 3 * REFUSED_SECONDS)
    took = time.monotonic() - began
    run.must(took < REFUSED_SECONDS, f"I6 the worker was refused only after {took:.1f} s")
    return took


@scenario(
    "F39",
    "A worker ends in the middle of a batch",
    injects="kill -9, without a word; SIGTERM, upon which it gives back what it has not begun",
    holds="What it held is handed out again, when the leases end or at once, and the job ends exactly.",
    variants=("killed", "terminated"),
)
def worker_ends(run: Run) -> None:
    """Heal: until everything that it held is with somebody else, or done."""
    with run.workers() as (victim, _):
        job = run.start_job(run.night(seconds_per_image=SLOW))
        run.somewhere(job, 0.1, 0.4)
        run.until(lambda: len(_held_by(job, victim)) > run.batch // 2, "the worker holds images")
        held = _held_by(job, victim)
        run.notes["images held"] = len(held)
        number = signal.SIGKILL if run.variant == "killed" else signal.SIGTERM
        run.platform.programs.remove(victim, number)
        run.fault_over()
        run.until(lambda: not held & _held_by(job, victim), "everything is with somebody else")
        run.healed()
        run.finish(job)


def _held_by(job: ChaosJob, worker: str) -> set[int]:
    """Images that are leased to a worker, whether or not the lease is over."""
    rows = ask(
        """SELECT image_id FROM jobs_jobtask
        WHERE job_id = %s AND status = 0 AND leased_until IS NOT NULL AND worker LIKE %s""",
        [job.id, f"%{worker}%"],
    )
    return {row[0] for row in rows}


@scenario(
    "F40",
    "No worker for a day",
    injects="all times in the database move back by a day while the job waits (NATS and Redis do not age)",
    holds="Nothing fails or expires; the job says what it waits for; when workers come, it ends exactly.",
)
def nobody_for_a_day(run: Run) -> None:
    """Heal: from the arrival of the workers until the job's end."""
    job = run.start_job()
    held = run.hand("deserter").hold(job.id, run.images // 3)
    run.notes["images held by the last worker"] = len(held)
    age(DAY_SECONDS)
    time.sleep(LOOK_SECONDS)  # every health check looks at it
    run.must(not run.ended(job), "I7 the job ended while nobody was there")
    run.must(run.settled(job) == 0, f"I7 {run.settled(job)} images have an outcome without any worker")
    shown = run.operator.insist("GET", f"/jobs/{job.id}/")
    run.must("waiting for workers" in shown["waiting_for"], f"I12 it says {shown['waiting_for']!r}")
    with run.workers():
        run.fault_over()
        run.finish(job)

"""NATS goes away, freezes, or loses what it holds."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from ami.chaos import jetstream
from ami.chaos.database import value
from ami.chaos.prober import probing
from ami.chaos.scenario import scenario
from ami.chaos.scenarios.redis import flush

if TYPE_CHECKING:
    from ami.chaos.oracle import ChaosJob
    from ami.chaos.run import Run

AWAY_SECONDS = 3.0
FROZEN_SECONDS = 10.0
UNRELATED_SECONDS = 1.0


@scenario(
    "F10",
    "NATS is killed, or frozen",
    injects=f"kill -9 and a start after {AWAY_SECONDS:.0f} s; SIGSTOP for {FROZEN_SECONDS:.0f} s",
    holds=f"Calls that do not need the queue take less than {UNRELATED_SECONDS:.0f} s; the job ends exactly.",
    variants=("killed", "frozen"),
)
def away(run: Run) -> None:
    """Heal: from the moment when NATS is back until the job's end."""
    nats = run.platform.stack.nats
    with run.workers():
        job = run.start_job()
        run.somewhere(job)
        with probing(run.operator, "/projects/") as usual:
            time.sleep(0.5)
        with probing(run.operator, "/projects/") as probed:
            if run.variant == "killed":
                nats.kill()
                time.sleep(AWAY_SECONDS)
                nats.start()
            else:
                nats.pause()
                time.sleep(FROZEN_SECONDS)
                nats.resume()
        run.fault_over()
        run.finish(job)
    run.notes["p99 ms before"] = 1_000 * usual.p99()
    run.notes["p99 ms meanwhile"] = 1_000 * probed.p99()
    run.must(probed.failed == 0, f"I11 {probed.failed} calls that do not need NATS failed")
    run.must(probed.p99() < UNRELATED_SECONDS, f"I11 unrelated calls took {probed.p99():.2f} s")


@scenario(
    "F11",
    "NATS loses what it holds",
    injects="the whole store, one stream, or its consumer is gone; or the store and all that Redis holds",
    holds="The queue is built anew from the ledger, and the job ends exactly.",
    variants=("store", "stream", "consumer", "store and Redis"),
)
def emptied(run: Run) -> None:
    """Heal: until the job's end. Of its own: seconds until the next image is handed out."""
    with run.workers():
        job = run.start_job()
        run.somewhere(job)
        if run.variant.endswith("Redis"):
            flush(run)
        if run.variant.startswith("store"):
            jetstream.lose_everything(run.platform)
        elif run.variant == "stream":
            jetstream.delete_stream(job.id)
        else:
            jetstream.delete_consumer(job.id)
        run.fault_over()
        leased = leases_handed_out(job)
        began = time.monotonic()
        run.until(lambda: leases_handed_out(job) > leased or run.ended(job), "images are handed out again")
        run.notes["first delivery s"] = time.monotonic() - began
        run.finish(job)


@scenario(
    "F12",
    "NATS is restored from an old snapshot",
    injects="its store of an earlier moment takes the place of the present one, in the middle of the job or "
    "after its end: messages of images that are done come back, confirmations are forgotten",
    holds="What is done is not done again; the job ends exactly; what came back is deleted.",
    variants=("in the middle", "after the end"),
)
def restored(run: Run) -> None:
    """Heal: until the job's end; after the end: until the stream that came back is gone."""
    with run.workers():
        job = run.start_job()
        run.somewhere(job, 0.1, 0.3)
        snapshot = jetstream.take_snapshot(run.platform)
        if run.variant == "in the middle":
            run.somewhere(job, 0.5, 0.8)
        else:
            run.finish(job)
        jetstream.restore_snapshot(run.platform, snapshot)
        run.fault_over()
        if run.variant == "after the end":
            run.until(lambda: run.clean(job), "the stream that came back is gone")
        run.finish(job)


def leases_handed_out(job: ChaosJob) -> int:
    """How often images of a job were handed out in its present run."""
    return int(value("SELECT COALESCE(sum(attempt), 0) FROM jobs_jobtask WHERE job_id = %s", [job.id]))

"""Redis loses what it holds, or stands still: pending sets, open leases, the cache, requests to Celery."""

from __future__ import annotations

import shutil
import time
from typing import TYPE_CHECKING

import redis

from ami.chaos.prober import probing
from ami.chaos.scenario import scenario

if TYPE_CHECKING:
    from ami.chaos.run import Run

SHARES = {"at the start": 0.0, "in the middle": 0.5, "at 99 %": 0.99}
AWAY_SECONDS = 2.0
FROZEN_SECONDS = 10.0
SLOWEST_SECONDS = 2.0


@scenario(
    "F8",
    "FLUSHALL in Redis",
    injects="Redis loses everything, at this moment of the job",
    holds="The job ends exactly, and none fails for it; a job that ended stays as it is.",
    variants=(*SHARES, "after the end"),
)
def flushed(run: Run) -> None:
    """Heal: until the job's end."""
    with run.workers():
        job = run.start_job()
        if run.variant == "after the end":
            run.finish(job)
        else:
            run.reach(job, SHARES[run.variant])
        flush(run)
        run.fault_over()
        run.finish(job)


@scenario(
    "F9",
    "Redis is restarted empty, or frozen",
    injects=f"kill -9 and an empty Redis after {AWAY_SECONDS:.0f} s; SIGSTOP for {FROZEN_SECONDS:.0f} s",
    holds=f"Calls of people succeed meanwhile, within {SLOWEST_SECONDS:.0f} s; the job ends exactly.",
    variants=("restarted empty", "frozen"),
)
def away(run: Run) -> None:
    """Heal: from the moment when Redis is back until the job's end."""
    valkey = run.platform.stack.valkey
    with run.workers():
        job = run.start_job()
        run.somewhere(job)
        with probing(run.operator, f"/jobs/{job.id}/") as probed:
            if run.variant == "frozen":
                valkey.pause()
                time.sleep(FROZEN_SECONDS)
                valkey.resume()
            else:
                restart_empty(run)
        run.fault_over()
        run.finish(job)
    run.notes["p99 ms meanwhile"] = 1_000 * probed.p99()
    run.must(probed.failed == 0, f"I11 {probed.failed} calls that do not need Redis failed")
    run.must(probed.p99() < SLOWEST_SECONDS, f"I11 calls took {probed.p99():.2f} s while Redis was away")


def restart_empty(run: Run) -> None:
    """kill -9; `AWAY_SECONDS` later an empty Redis takes its place."""
    valkey = run.platform.stack.valkey
    valkey.kill()
    shutil.rmtree(valkey.home / "valkey" / "appendonlydir")
    time.sleep(AWAY_SECONDS)
    valkey.start()


def flush(run: Run) -> None:
    """Lose everything that Redis holds."""
    with redis.Redis.from_url(run.platform.stack.valkey.url) as client:
        client.flushall()

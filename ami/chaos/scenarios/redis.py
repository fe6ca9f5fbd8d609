"""Redis loses what it holds: pending sets, open leases, the cache, and what Celery was asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import redis

from ami.chaos.scenario import scenario

if TYPE_CHECKING:
    from ami.chaos.run import Run

SHARES = {"at the start": 0.0, "in the middle": 0.5, "at 99 %": 0.99}


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


def flush(run: Run) -> None:
    """Lose everything that Redis holds."""
    with redis.Redis.from_url(run.platform.stack.valkey.url) as client:
        client.flushall()

"""The line between our programs and NATS or Redis is cut; the servers themselves are well."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from ami.chaos.prober import probing
from ami.chaos.scenario import scenario

if TYPE_CHECKING:
    from ami.chaos.run import Run

CUT_SECONDS = 10.0
SLOWEST_SECONDS = 2.0
VARIANTS = ("NATS dropped", "NATS silent", "Redis dropped", "Redis silent")


@scenario(
    "F17",
    "The line to NATS or Redis is cut",
    injects=f"for web, Celery and beat, for {CUT_SECONDS:.0f} s: connections break, or nothing comes through",
    holds=f"Calls of people succeed meanwhile, within {SLOWEST_SECONDS:.0f} s; the job ends exactly.",
    variants=VARIANTS,
    proxied=True,
)
def cut(run: Run) -> None:
    """Heal: from the moment when the line is whole until the job's end."""
    server, _, how = run.variant.partition(" ")
    proxy = run.platform.proxies[server]
    with run.workers():
        job = run.start_job()
        run.somewhere(job)
        with probing(run.operator, f"/jobs/{job.id}/") as probed:
            (proxy.drop if how == "dropped" else proxy.hold)()
            time.sleep(CUT_SECONDS)
            proxy.restore()
        run.fault_over()
        run.finish(job)
    run.notes["p99 ms meanwhile"] = 1_000 * probed.p99()
    run.must(probed.failed == 0, f"I11 {probed.failed} calls of people failed")
    run.must(probed.p99() < SLOWEST_SECONDS, f"I11 calls of people took {probed.p99():.2f} s")

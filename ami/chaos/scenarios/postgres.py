"""Postgres goes away: the one server that nothing works without."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import requests

from ami.chaos.pipeline import result_of
from ami.chaos.scenario import scenario

if TYPE_CHECKING:
    from ami.chaos.run import Run

AWAY_SECONDS = 3.0


@scenario(
    "F15",
    "Postgres is restarted, or killed",
    injects=f"an orderly stop, or kill -9, and a start after {AWAY_SECONDS:.0f} s, while workers post",
    holds="No result is answered 200 meanwhile; what was answered before is there; the job ends exactly.",
    variants=("restarted", "killed"),
)
def away(run: Run) -> None:
    """Heal: from the moment when Postgres is back until the job's end."""
    postgres = run.platform.stack.postgres
    worker = run.hand("poster")
    with run.workers():
        job = run.start_job()
        held = worker.hold(job.id, 2)
        run.somewhere(job)
        (postgres.kill if run.variant == "killed" else postgres.stop)()
        statuses = []
        until = time.monotonic() + AWAY_SECONDS
        while time.monotonic() < until:
            body = {"results": [result_of(task) for task in held]}
            try:
                answer = worker.call("POST", f"/jobs/{job.id}/result/", json=body, timeout=10)
                statuses.append(answer.status_code)
            except requests.RequestException:
                statuses.append(0)
        postgres.start()
        run.fault_over()
        run.notes["refused posts"] = len(statuses)
        run.must(200 not in statuses, "I8 a result was answered 200 while Postgres was away")
        odd = {status for status in statuses if status not in {0, 503}}
        run.must(not odd, f"I11 posts were answered {sorted(odd)} while Postgres was away")
        worker.post(job.id, held)
        run.finish(job)

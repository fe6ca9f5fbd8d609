"""The web server dies while a worker posts."""

from __future__ import annotations

import socket
from collections import Counter
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from ami.chaos.scenario import scenario

if TYPE_CHECKING:
    from ami.chaos.client import HandWorker
    from ami.chaos.oracle import ChaosJob
    from ami.chaos.run import Run

EXPECTED = {
    "before parsing": "queued",
    "receive.before_commit": "queued",
    "receive.after_commit": "duplicate",
    "receive.after_enqueue": "duplicate",
}
"""What a post is answered when it is repeated, by the step at which the server died."""

BATCHES = 5


@scenario(
    "F1",
    "The web server is killed in the middle of a post",
    injects="kill -9 while the body comes in; before the commit; after it, before Celery hears of it; "
    "before the answer",
    holds="The worker posts again; what was committed is a duplicate then, and nothing is lost.",
    variants=EXPECTED,
)
def web_killed(run: Run) -> None:
    """Heal: until the post is answered."""
    job = run.start_job()
    worker = run.hand("stubborn")
    size = -(-run.images // BATCHES)
    fatal = run.chance.randrange(BATCHES)
    for number, start in enumerate(range(0, run.images, size)):
        held = worker.hold(job.id, min(size, run.images - start))
        if number != fatal:
            worker.post(job.id, held)
            continue
        _kill(run, worker, job)
        run.fault_over()
        answers = Counter(worker.post(job.id, held))
        run.healed()
        expected = {EXPECTED[run.variant]: len(held)}
        run.must(answers == expected, f"I3 the post was answered {dict(answers)}, not {expected}")
        run.notes["duplicates absorbed"] = answers["duplicate"]
        if run.variant != "before parsing":
            run.must(run.platform.failpoints.fired(run.variant), "the server did not die")
    run.finish(job)


def _kill(run: Run, worker: HandWorker, job: ChaosJob) -> None:
    """Kill it now, or have it die at the step that the next post comes by."""
    if run.variant != "before parsing":
        run.platform.failpoints.arm(run.variant)
        return
    address = urlsplit(run.platform.url)
    with socket.create_connection((address.hostname or "", address.port or 0), timeout=10) as half:
        head = [f"POST /api/v2/jobs/{job.id}/result/ HTTP/1.1", "Host: chaos", "Content-Length: 1000"]
        head += [f"{name}: {text}" for name, text in worker.headers.items()]
        half.sendall(("\r\n".join(head) + '\r\n\r\n{"results": [').encode())
        run.platform.programs.kill("web")
    run.platform.wait_for_web()

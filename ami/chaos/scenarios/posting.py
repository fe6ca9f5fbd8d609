"""Results that come twice, late, out of order, or whose answer nobody hears."""

from __future__ import annotations

import http.client
import json
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from ami.chaos.database import value
from ami.chaos.pipeline import result_of
from ami.chaos.scenario import scenario

if TYPE_CHECKING:
    from ami.chaos.client import Item, Task
    from ami.chaos.oracle import ChaosJob
    from ami.chaos.run import Run

THREADS = 16
ACCEPTED_TWICE = "I3 the same result was answered `queued` twice"


@scenario(
    "F19",
    "The answer of the server is lost",
    injects="the worker hangs up after the server has committed, before it reads the answer",
    holds="Leases that nobody knows of run out, and the images are handed out again; "
    "a result posted again is a duplicate.",
    variants=("reserve", "result"),
)
def answer_lost(run: Run) -> None:
    """Heal: from the lost answer until the job's end."""
    job = run.start_job()
    worker = run.hand("deaf")
    count = max(4, run.images // 4)
    held = worker.hold(job.id, count)
    if run.variant == "result":
        items = [result_of(task) for task in held]
        _hang_up(run, worker.headers, f"/jobs/{job.id}/result/", {"results": items})
        run.until(lambda: _in_state(job, "status IN (1, 2)") >= count, "the results are taken")
        run.fault_over()
        again = Counter(worker.post(job.id, held))
        run.must(again == {"duplicate": count}, f"I3 results posted again were answered {dict(again)}")
    else:
        worker.post(job.id, held)
        leased = _in_state(job, "attempt > 0")
        _hang_up(run, worker.headers, f"/jobs/{job.id}/tasks/", {"batch_size": count})
        run.until(lambda: _in_state(job, "attempt > 0") > leased, "images are leased")
        run.fault_over()
        run.notes["wasted leases"] = _in_state(job, "attempt > 0") - leased
    with run.workers():
        run.finish(job)


@scenario(
    "F20",
    "The same result is posted many times",
    injects="each post is repeated: once, a hundred times, or by 16 callers at one moment",
    holds="One is taken, all others are duplicates.",
    variants=("twice", "100 times", "in parallel"),
)
def repeated(run: Run) -> None:
    """Without a fault that ends there is nothing to heal."""
    job = run.start_job()
    worker = run.hand("parrot")
    copies = {"twice": 2, "100 times": 100, "in parallel": THREADS}[run.variant]
    callers = THREADS if run.variant != "twice" else 1
    size = max(1, run.images // 3)
    with ThreadPoolExecutor(callers) as pool:
        for start in range(0, run.images, size):
            items = [result_of(task) for task in worker.hold(job.id, min(size, run.images - start))]
            posts = [pool.submit(worker.post_items, job.id, items) for _ in range(copies)]
            answers = [Counter(post.result()) for post in posts]
            total = sum(answers, Counter())
            run.must(total["queued"] == len(items), f"{ACCEPTED_TWICE}: {dict(total)}")
            run.must(set(total) <= {"queued", "duplicate"}, f"I3 repetitions were answered {dict(total)}")
    run.finish(job)


@scenario(
    "F21",
    "Results come out of order",
    injects="one worker holds everything and posts it one by one, in random order",
    holds="The job ends exactly; its progress only grows.",
)
def shuffled(run: Run) -> None:
    """Without a fault that ends there is nothing to heal."""
    job = run.start_job()
    worker = run.hand("juggler")
    held = worker.hold(job.id, run.images)
    run.chance.shuffle(held)
    for task in held:
        run.must(worker.post(job.id, [task]) == ["queued"], "I3 a first result was not taken")
    run.finish(job)


@scenario(
    "F26",
    "A correct result comes after its lease ran out",
    injects="another worker has the image by then; the late result comes before, or after, the other one",
    holds="The first that comes is taken, the other is a duplicate.",
    variants=("before the second", "after the second"),
)
def late(run: Run) -> None:
    """Without a fault that ends there is nothing to heal."""
    job = run.start_job()
    slow, quick = run.hand("slow"), run.hand("quick")
    first, second = _both_hold(run, job)
    posts = [(slow, first), (quick, second)]
    if run.variant == "after the second":
        posts.reverse()
    for expected, (worker, held) in zip(("queued", "duplicate"), posts, strict=True):
        answers = Counter(worker.post(job.id, held))
        run.must(answers == {expected: len(held)}, f"I3 {len(held)} {expected} expected, got {dict(answers)}")
    run.finish(job)


@scenario(
    "F27",
    "An error comes after its lease ran out",
    injects="a worker reports errors for images that another worker has by then",
    holds="Nobody is harmed: the images do not fail.",
)
def late_failure(run: Run) -> None:
    """Without a fault that ends there is nothing to heal."""
    job = run.start_job()
    first, second = _both_hold(run, job)
    slow, quick = run.hand("slow"), run.hand("quick")
    answers = Counter(slow.fail(first, retryable=False))
    run.must(answers == {"duplicate": len(first)}, f"I6 late errors were answered {dict(answers)}")
    answers = Counter(quick.post(job.id, second))
    run.must(
        answers == {"queued": len(second)}, f"I6 results after late errors were answered {dict(answers)}"
    )
    run.finish(job)


def _both_hold(run: Run, job: ChaosJob) -> tuple[list[Task], list[Task]]:
    """Every image, under a lease that ran out and under one that is in force; both in order of the images."""
    worker = run.hand("holder")
    first = worker.hold(job.id, run.images)
    run.until(lambda: not _in_state(job, "leased_until > clock_timestamp()"), "all leases ran out")
    second = worker.hold(job.id, run.images)
    key = lambda task: int(task["image_id"])  # noqa: E731 - said once, used twice
    return sorted(first, key=key), sorted(second, key=key)


def _in_state(job: ChaosJob, condition: str) -> int:
    return int(
        value(f"SELECT count(*) FROM jobs_jobtask WHERE job_id = %s AND {condition}", [job.id])  # noqa: S608
    )


def _hang_up(run: Run, headers: dict[str, str], path: str, body: dict[str, int | list[Item]]) -> None:
    """Send a request and hang up when its answer begins."""
    connection = http.client.HTTPConnection(urlsplit(run.platform.url).netloc, timeout=30)
    try:
        connection.request("POST", f"/api/v2{path}", json.dumps(body), headers)
        if connection.sock is not None:
            connection.sock.recv(1)  # the answer begins, so the server has committed; the rest is lost
    finally:
        connection.close()

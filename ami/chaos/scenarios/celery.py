"""Celery and its clock: killed again and again, frozen, doubled."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from ami.chaos import jetstream
from ami.chaos.database import ask, value
from ami.chaos.scenario import scenario
from ami.chaos.scenarios.redis import flush

if TYPE_CHECKING:
    from ami.chaos.oracle import ChaosJob
    from ami.chaos.run import Run

KILL_EVERY_SECONDS = 5.0
KILLING_SECONDS = 60.0
BEATS = 3
FROZEN_SECONDS = 10.0
REDELIVERED_SECONDS = 17.0
"""The broker looks every ten seconds for tasks that nobody confirmed within five."""
COPIES = 5
LOCKS_SECONDS = 150.0
"""Postgres ends the transaction of a frozen process after a minute."""


@scenario(
    "F4",
    "Every Celery process is killed, again and again",
    injects=f"kill -9 for all children of Celery every {KILL_EVERY_SECONDS:.0f} s "
    f"for {KILLING_SECONDS:.0f} s, while job follows job",
    holds="Every job ends exactly.",
)
def killed_again_and_again(run: Run) -> None:
    """Heal: from the last kill until the end of the last job. Of its own: images per second, in per cent."""
    with run.workers():
        began = time.monotonic()
        run.finish(run.start_job())
        usual = run.images / (time.monotonic() - began)
        began = time.monotonic()
        done = 0
        with _killing(run):
            while time.monotonic() < began + KILLING_SECONDS:
                run.finish(run.start_job())
                done += run.images
            took = time.monotonic() - began
            job = run.start_job()
        run.fault_over()
        run.finish(job)
    run.notes["throughput kept %"] = 100 * done / took / usual


@contextmanager
def _killing(run: Run) -> Iterator[None]:
    stop = threading.Event()

    def work() -> None:
        while not stop.wait(KILL_EVERY_SECONDS):
            run.platform.programs.kill_children("celery")

    thread = threading.Thread(target=work, name="killer", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


@scenario(
    "F5",
    "Beat dies, is away, or is there twice",
    injects="kill -9; no beat while health checks should run; two beats; Redis loses everything, too, so "
    "that the checks are needed",
    holds="The job ends exactly when beat is back; two beats do nothing twice.",
    variants=("killed", f"away for {BEATS} beats", "two at once"),
)
def beat(run: Run) -> None:
    """Heal: from beat's return, or the loss, until the job's end."""
    programs = run.platform.programs
    with run.workers():
        job = run.start_job()
        run.somewhere(job)
        if run.variant == "killed":
            flush(run)
            programs.kill("beat")
            run.fault_over()
        elif run.variant == "two at once":
            _two_beats(run, job)
        else:
            with programs.away("beat"):
                flush(run)
                time.sleep(BEATS * 1.0)
            run.fault_over()
        run.finish(job)


def _two_beats(run: Run, job: ChaosJob) -> None:
    """Two clocks, and something that must be repaired once: a lost stream."""
    run.platform.start_beat("beat-2")
    try:
        before = value("SELECT queue_epoch FROM jobs_job WHERE id = %s", [job.id])
        jetstream.delete_stream(job.id)
        flush(run)
        run.fault_over()
        run.finish(job)
        rebuilt = value("SELECT queue_epoch FROM jobs_job WHERE id = %s", [job.id]) - before
        run.notes["times rebuilt"] = rebuilt
        run.must(rebuilt <= 1, f"I6 the queue was built anew {rebuilt} times")
    finally:
        run.platform.programs.remove("beat-2")


@scenario(
    "F6",
    "Celery is alive, but does not work",
    injects=f"SIGSTOP for {FROZEN_SECONDS:.0f} s, alone; or until the job's end, while another is there",
    holds="Results are taken meanwhile; the job ends when it goes on, or by the other one.",
    variants=("alone", "another is there"),
)
def frozen(run: Run) -> None:
    """Heal: from SIGCONT, or from SIGSTOP if another is there, until the job's end."""
    programs = run.platform.programs
    with run.workers():
        if run.variant == "alone":
            job = run.start_job()
            run.somewhere(job)
            with programs.frozen("celery"):
                time.sleep(FROZEN_SECONDS)
            run.fault_over()
            run.finish(job)
            return
        with _second_celery(run):
            job = run.start_job()
            run.somewhere(job)
            with programs.frozen("celery"):
                run.fault_over()
                run.finish(job, seconds=run.patience + LOCKS_SECONDS)
            time.sleep(1.0)  # what it had in hand, it does now


@contextmanager
def _second_celery(run: Run) -> Iterator[None]:
    run.platform.start_celery("celery-2")
    try:
        run.platform.wait_for_celery("celery-2")
        yield
    finally:
        run.platform.programs.remove("celery-2")


@scenario(
    "F7",
    "Celery's tasks are delivered twice, and late",
    injects=f"every task {COPIES} more times, at once and after the job's end; tasks of a process that stood "
    "still longer than the visibility timeout of 5 s",
    holds="The copies change nothing.",
    variants=("copies", "visibility timeout"),
    CELERY_VISIBILITY_TIMEOUT="5",
)
def delivered_twice(run: Run) -> None:
    """Without a fault that ends there is nothing to heal. Of its own: how many tasks were surplus."""
    if run.variant == "copies":
        run.notes["surplus tasks"] = _copies(run)
        return
    with run.workers(), _second_celery(run):
        job = run.start_job()
        run.somewhere(job)
        with run.platform.programs.frozen("celery"):
            time.sleep(REDELIVERED_SECONDS)
        run.finish(job, seconds=run.patience + LOCKS_SECONDS)


def _copies(run: Run) -> int:
    seen: set[int] = set()
    sent = 0
    with run.workers():
        job = run.start_job()
        while not run.ended(job):
            rows = ask("SELECT id FROM jobs_inboxentry WHERE job_id = %s", [job.id])
            fresh = [row[0] for row in rows if row[0] not in seen]
            seen.update(fresh)
            if fresh:
                sent += _send_copies(run, job, fresh)
            time.sleep(0.05)
        run.finish(job)
    return sent + _send_copies(run, job, sorted(seen))


def _send_copies(run: Run, job: ChaosJob, inbox_ids: list[int]) -> int:
    for _ in range(COPIES):
        run.celery.save(inbox_ids)
        run.celery.dispatch(job.id)
        run.celery.refresh(job.id)
    return COPIES * (len(inbox_ids) + 2)

"""The head of a trace: where the job as a whole is, a line for each thing that can go wrong."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from datetime import datetime
from typing import Any

from django.conf import settings

from ami.jobs.progress import Counts
from ami.jobs.tracing.phrases import moment, number, span
from ami.jobs.tracing.view import Event, View

Line = tuple[str, str]
"""A label and a sentence."""

MOST_NAMES = 5


def head(view: View) -> list[Line]:
    """The lines, in the order in which a job goes."""
    job = view.job
    return [
        ("job", f'{job.pk} "{job.name}": {job.status}, run {job.run}, {job.dispatch_mode}'),
        ("times", "; ".join(_times(view))),
        ("images", _images(view.counts)),
        ("collected", _collected(view)),
        ("published", _published(view)),
        ("dispatch", _driver(view)),
        ("NATS", _nats(view)),
        ("Redis", _redis(view)),
        ("inbox", _inbox(view)),
        ("workers", _workers(view)),
        ("checks", _checks(view)),
        *(("noticed", _note(note, view.now)) for note in view.notes),
    ]


def _times(view: View) -> Iterator[str]:
    job = view.job
    for word, at in (
        ("created", job.created_at),
        ("submitted", job.scheduled_at),
        ("started", job.started_at),
        ("ended", job.finished_at),
    ):
        if at is not None:
            yield f"{word} {moment(at, view.now)}"


def _images(counts: Counts) -> str:
    states = {name: getattr(counts, name) for name in _STATES}
    parts = ", ".join(f"{count:,} {name}" for name, count in states.items())
    return (
        f"{counts.total:,}: {parts}; "
        f"{number(counts.detections, 'detection')}, {number(counts.classifications, 'classification')}"
    )


_STATES = ("pending", "received", "processed", "failed", "cancelled")


def _collected(view: View) -> str:
    job = view.job
    if job.collected_at is None:
        return f"not yet; up to capture {job.collect_cursor}" if job.collect_cursor else "not yet"
    return f"all of them, {moment(job.collected_at, view.now)}"


def _published(view: View) -> str:
    behind = f"; {number(view.unpublished, 'pending image')} not published" if view.unpublished else ""
    return f"up to position {view.job.published_to:,}, epoch {view.job.queue_epoch}{behind}"


def _driver(view: View) -> str:
    until = view.job.driver_until
    if until is None:
        return "nobody is at it"
    if view.dispatching:
        return f"at work, claim {view.job.driver[:8]} until {moment(until, view.now)}"
    return f"nobody is at it; the claim {view.job.driver[:8]} lapsed {moment(until, view.now)}"


def _nats(view: View) -> str:
    queue = view.queue
    if queue.away:
        return f"does not answer, so what stands in the queue is not known: {queue.away}"
    if queue.messages is None:
        return "no stream"
    stream = f"stream with {number(queue.messages, 'message')}"
    if queue.consumer is None:
        return f"{stream}, but no consumer of epoch {view.job.queue_epoch}"
    state = queue.consumer
    full = f" (no more than {settings.NATS_MAX_ACK_PENDING:,} may be)" if state.is_full else ""
    return (
        f"{stream}; {state.waiting:,} not handed out yet, {state.leased:,} handed out and unanswered{full}, "
        f"{state.redelivered:,} of them more than once"
    )


def _redis(view: View) -> str:
    sets, counts = view.sets, view.counts
    if sets.away:
        return f"does not answer; work goes on without it: {sets.away}"
    rebuilt = f"rebuilt with the next progress, or at {view.sets_check.next}"
    if sets.snapshot is None:
        return "no pending sets" if view.job.is_final else f"no pending sets; {rebuilt}"
    shown = sets.snapshot
    ours = (counts.pending, counts.open, counts.failed, counts.total)
    theirs = (shown.process, shown.results, shown.failed, shown.total)
    words = "{:,} to process, {:,} to save, {:,} failed, {:,} in all"
    if ours == theirs:
        return f"agrees with the ledger: {words.format(*theirs)}"
    return f"says {words.format(*theirs)}; the ledger says {words.format(*ours)}, and counts"


def _inbox(view: View) -> str:
    inbox = view.inbox
    if not inbox.rows or inbox.oldest is None:
        return "empty"
    age = span((view.now - inbox.oldest).total_seconds())
    return f"{number(inbox.rows, 'row')}, {inbox.under_way:,} being saved; the oldest waits for {age}"


def _workers(view: View) -> str:
    pipeline = view.job.pipeline.slug if view.job.pipeline else "(none)"
    if not view.workers:
        return f"none online for pipeline {pipeline}"
    seen = [f"{worker.name}, heard of {moment(worker.last_seen, view.now)}" for worker in view.workers]
    more = len(seen) - MOST_NAMES
    names = "; ".join(seen[:MOST_NAMES]) + (f"; and {more} more" if more > 0 else "")
    return f"{len(seen)} online for pipeline {pipeline}: {names}"


def _checks(view: View) -> str:
    """When those ran last on which the images of a job may have to wait."""
    checks = (view.inbox_check, view.dispatch_check, view.lost_check, view.sets_check)
    return ", ".join(f"{check.words} {_ran(check.last_run, view.now)}" for check in checks)


def _ran(at: datetime | None, now: datetime) -> str:
    return f"{span(max(0.0, (now - at).total_seconds()))} ago" if at else "never"


def _note(note: Event | str, now: datetime) -> str:
    return note if isinstance(note, str) else f"{moment(note.at, now)}: {note.text}"


def facts(view: View) -> dict[str, Any]:
    """The same as figures, for programs."""
    job, queue, sets = view.job, view.queue, view.sets
    return {
        "status": job.status,
        "run": job.run,
        "dispatch_mode": job.dispatch_mode,
        "pipeline": job.pipeline.slug if job.pipeline else None,
        "counts": asdict(view.counts),
        "collected_at": job.collected_at,
        "published_to": job.published_to,
        "unpublished": view.unpublished,
        "driver": {"claim": job.driver, "until": job.driver_until, "at_work": view.dispatching},
        "queue": {
            "away": queue.away or None,
            "epoch": job.queue_epoch,
            "messages": queue.messages,
            "consumer": asdict(queue.consumer) if queue.consumer else None,
            "was_read": queue.standing is not None,
        },
        "redis": {"away": sets.away or None, "sets": asdict(sets.snapshot) if sets.snapshot else None},
        "inbox": asdict(view.inbox),
        "checks": {
            check.name: {"seconds": check.seconds, "last_run": check.last_run}
            for check in (view.inbox_check, view.dispatch_check, view.lost_check, view.sets_check)
        },
        "workers": [{"name": worker.name, "last_seen": worker.last_seen} for worker in view.workers],
    }

"""What is wrong with a job, in words, and what to do; a rule for each thing that can be."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from ami.jobs.states import FINAL, RUNNING, SERVING, TaskState
from ami.jobs.tracing.phrases import capitalised, number, span
from ami.jobs.tracing.places import is_missing
from ami.jobs.tracing.view import View
from ami.jobs.tracing.words import rebuilding

RUNBOOKS = "docs/howto/operate"
LONG_IN_INBOX = 120
"""Seconds after which an accepted result that nobody saves is worth a word."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """Something that does not fit. `bad`: nothing heals it by itself; `warn`: it holds up work, or may."""

    tone: Literal["bad", "warn", "quiet"]
    what: str
    what_next: str
    runbook: str = ""
    """Where more is written, as a path in the repository."""


Rule = Callable[[View], Verdict | None]


def verdicts(view: View) -> list[Verdict]:
    """All that apply, the gravest first."""
    found = [verdict for rule in _RULES if (verdict := rule(view)) is not None]
    return sorted(found, key=lambda verdict: ("bad", "warn", "quiet").index(verdict.tone))


def _nats_is_silent(view: View) -> Verdict | None:
    if not view.queue.away:
        return None
    return Verdict(
        "warn",
        f"NATS does not answer: {view.queue.away}",
        "Nothing is handed out until it does. Nothing is lost: the ledger has every image.",
        f"{RUNBOOKS}/nats-lost.md",
    )


def _redis_is_silent(view: View) -> Verdict | None:
    if not view.sets.away:
        return None
    return Verdict(
        "warn",
        f"Redis does not answer: {view.sets.away}",
        "Work goes on without it; the pending sets are written anew once it is back.",
        f"{RUNBOOKS}/redis-lost.md",
    )


def _queue_is_gone(view: View) -> Verdict | None:
    queue, job = view.queue, view.job
    if queue.unused or queue.away or queue.is_whole or not job.queue_epoch:
        return None
    if job.status not in RUNNING or not view.counts.pending:
        return None
    what = "The stream is gone" if queue.messages is None else "The stream is there, its consumer is gone"
    waiting = number(view.in_queue_by_ledger, "published image")
    return Verdict(
        "warn",
        f"{what}, and {waiting} still to be processed.",
        capitalised(f"{rebuilding(view)}."),
        f"{RUNBOOKS}/nats-lost.md",
    )


def _messages_are_missing(view: View) -> Verdict | None:
    missing = sum(group.count for group in view.groups if is_missing(group, view.queue))
    missing = max(missing, view.surely_missing)
    if not view.queue.is_whole or not missing or view.job.status not in RUNNING:
        return None
    return Verdict(
        "warn",
        f"{number(missing, 'message')} missing from the stream: it holds {view.queue.messages:,}, and "
        f"{view.in_queue_by_ledger:,} published images are not processed.",
        capitalised(f"{rebuilding(view)}."),
        f"{RUNBOOKS}/nats-lost.md",
    )


def _messages_are_left(view: View) -> Verdict | None:
    extra = (view.queue.messages or 0) - view.in_queue_by_ledger
    if view.queue.unused or view.queue.away or extra <= 0 or view.job.status in FINAL:
        return None
    return Verdict(
        "quiet",
        f"{number(extra, 'message')} more in the stream than images to be processed.",
        "They belong to images that have an answer; they go when that is saved, or when they are asked for.",
    )


def _stream_outlived_its_job(view: View) -> Verdict | None:
    if view.job.status not in FINAL or view.queue.messages is None:
        return None
    return Verdict(
        "warn",
        f"The job has ended, and its stream is still there with {number(view.queue.messages, 'message')}.",
        "The zombie streams check deletes it; run the health checks to have it now.",
        f"{RUNBOOKS}/zombie-streams.md",
    )


def _sets_are_missing(view: View) -> Verdict | None:
    if view.sets.away or view.sets.snapshot or view.job.status not in SERVING or view.queue.unused:
        return None
    return Verdict(
        "warn",
        "Redis has no pending sets of this job.",
        f"Nobody needs them to go on. They are rebuilt at {view.sets_check.next}.",
        f"{RUNBOOKS}/redis-lost.md",
    )


def _sets_differ(view: View) -> Verdict | None:
    counts, found = view.counts, view.sets.snapshot
    if found is None or view.job.status in FINAL:
        return None
    ours = (counts.total, counts.pending, counts.open, counts.failed)
    if ours == (found.total, found.process, found.results, found.failed):
        return None
    is_moving = counts.received > 0 or any(group.lease == "running" for group in view.groups)
    return Verdict(
        "quiet" if is_moving else "warn",
        "The pending sets differ from the ledger, and the ledger counts.",
        f"A job at work moves between two looks. If it stays, they are rebuilt at {view.sets_check.next}.",
        f"{RUNBOOKS}/redis-lost.md",
    )


def _sets_outlived_their_job(view: View) -> Verdict | None:
    if view.job.status not in FINAL or view.sets.snapshot is None or view.counts.received:
        return None
    return Verdict(
        "quiet",
        "The job has ended, and its pending sets are still there.",
        "They take no part in anything; the zombie streams check removes them.",
        f"{RUNBOOKS}/zombie-streams.md",
    )


def _images_left_open(view: View) -> Verdict | None:
    if view.job.status not in FINAL or not view.counts.pending:
        return None
    return Verdict(
        "bad",
        f"The job ended as {view.job.status} with {number(view.counts.pending, 'image')} pending, "
        "which must never happen.",
        "The stalled jobs check cancels and reports them. Please keep the job's log.",
        f"{RUNBOOKS}/stuck-job.md",
    )


def _end_is_due(view: View) -> Verdict | None:
    job, counts = view.job, view.counts
    if job.status not in SERVING or job.collected_at is None or counts.open or view.queue.unused:
        return None
    return Verdict(
        "warn",
        "Every image has an outcome, and the job has not ended.",
        "The stalled jobs check ends it within two minutes; run the health checks to have it now.",
        f"{RUNBOOKS}/stuck-job.md",
    )


def _results_are_lost(view: View) -> Verdict | None:
    lost = sum(
        group.count for group in view.groups if group.status == TaskState.RECEIVED and not group.row_present
    )
    if not lost:
        return None
    return Verdict(
        "bad",
        f"{number(lost, 'image')} received, and no inbox row has the result.",
        "Nothing heals this by itself: see what manage.py check_invariants says.",
        f"{RUNBOOKS}/stuck-job.md",
    )


def _nobody_saves(view: View) -> Verdict | None:
    inbox = view.inbox
    if inbox.oldest is None or inbox.under_way:
        return None
    waits = (view.now - inbox.oldest).total_seconds()
    if waits < LONG_IN_INBOX:
        return None
    return Verdict(
        "warn",
        f"{number(inbox.rows, 'accepted result')} not saved, the oldest for {span(waits)}.",
        "Look whether Celery's workers run; the inbox check enqueues them again.",
        f"{RUNBOOKS}/stuck-job.md",
    )


def _nobody_works(view: View) -> Verdict | None:
    if view.job.status not in SERVING or not view.free or not view.lack:
        return None
    return Verdict(
        "warn",
        f"{number(view.free, 'image')} can be handed out, and nobody asks.",
        capitalised(view.lack),
        f"{RUNBOOKS}/stuck-job.md",
    )


_RULES: tuple[Rule, ...] = (
    _nats_is_silent,
    _redis_is_silent,
    _queue_is_gone,
    _messages_are_missing,
    _messages_are_left,
    _stream_outlived_its_job,
    _sets_are_missing,
    _sets_differ,
    _sets_outlived_their_job,
    _images_left_open,
    _end_is_due,
    _results_are_lost,
    _nobody_saves,
    _nobody_works,
)

"""What a whole job waits for, in one sentence: the first rule that applies says it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

from ami.jobs.lifecycle.dispatch import delay_left
from ami.jobs.states import FINAL, DispatchMode, JobState, TaskState
from ami.jobs.tracing.phrases import moment, number
from ami.jobs.tracing.places import is_missing
from ami.jobs.tracing.view import View
from ami.jobs.tracing.words import pushing, rebuilding

Rule = Callable[[View], str]


def waiting_for(view: View) -> str:
    """The sentence, without a subject: `workers: none online for pipeline moths; 3 images can be ...`"""
    for rule in _RULES:
        if sentence := rule(view):
            return sentence
    return "its turn: nothing is known to hold it up."


def _ended(view: View) -> str:
    job = view.job
    if job.status not in FINAL:
        return ""
    if view.counts.received:
        return f"the saving of {number(view.counts.received, 'accepted result')}; it ended as {job.status}."
    when = f" at {moment(job.finished_at, view.now)}" if job.finished_at else ""
    return f"nothing: it ended as {job.status}{when}."


def _not_begun(view: View) -> str:
    job = view.job
    if job.status == JobState.CREATED:
        return "somebody who runs it: it was created and not submitted."
    if (left := delay_left(job)) > 0:
        return f"its start, which was put off until {moment(view.now + timedelta(seconds=left), view.now)}."
    return ""


def _own_work(view: View) -> str:
    if view.job.dispatch_mode != DispatchMode.INTERNAL:
        return ""
    if view.dispatching and view.job.driver_until:
        until = moment(view.job.driver_until, view.now)
        return f"the platform itself, which is at it, or rests, until {until}."
    return f"a slice of its own work; {view.dispatch_check.next}, asks for one."


def _service(view: View) -> str:
    if view.job.dispatch_mode != DispatchMode.SYNC_API:
        return ""
    return view.lack.removeprefix("waiting for ") or (_answers(view) or _pauses(view) or pushing(view))


def _dispatch(view: View) -> str:
    job = view.job
    if job.collected_at is None:
        what = "the collecting of its captures"
    elif not view.counts.open:
        return "its end to be noted, which the next refresh does; the dispatch check asks for one."
    elif job.status == JobState.PENDING:
        what = "its start"
    else:
        return ""
    if view.dispatching and job.driver_until:
        return f"{what}: a dispatch is at work until {moment(job.driver_until, view.now)}."
    return f"a dispatch, for {what}; {view.dispatch_check.next}, asks for one."


def _saving(view: View) -> str:
    if view.counts.pending:
        return ""
    rows, under_way = view.inbox.rows, view.inbox.under_way
    return (
        f"the saving of {number(view.counts.received, 'accepted result')} "
        f"in {number(rows, 'inbox row')}, {under_way:,} of them under way."
    )


def _queue(view: View) -> str:
    if view.queue.away:
        return f"NATS, and hands out nothing until then: {view.queue.away}"
    missing = sum(group.count for group in view.groups if is_missing(group, view.queue))
    if not view.queue.is_whole or (missing and missing == view.free):
        return f"its queue: {rebuilding(view)}."
    return ""


def _workers(view: View) -> str:
    free = view.free
    if not free:
        return ""
    waiting = f"{number(free, 'image')} can be handed out"
    if view.lack:
        return f"{view.lack.removeprefix('waiting for ').rstrip('.')}; {waiting}."
    online = number(len(view.workers), "worker")
    held = sum(group.count for group in view.groups if group.lease == "running")
    return f"workers to ask for more: {waiting}; {online} online, {number(held, 'image')} leased."


def _publishing(view: View) -> str:
    if view.counts.pending > view.unpublished:
        return ""
    return f"the publishing of {number(view.unpublished, 'image')}; {view.dispatch_check.next}, asks for it."


def _answers(view: View) -> str:
    leased = [group for group in view.groups if group.lease == "running"]
    ends = [group.lease_first for group in leased if group.lease_first]
    if not ends:
        return ""
    count = sum(group.count for group in leased)
    return (
        f"answers of workers: {number(count, 'image')} leased, "
        f"and the first lease ends {moment(min(ends), view.now)}."
    )


def _pauses(view: View) -> str:
    paused = [group for group in view.groups if group.status == TaskState.PENDING and group.pausing]
    ends = [group.pause_first for group in paused if group.pause_first]
    if not ends:
        return ""
    count = sum(group.count for group in paused)
    return (
        f"the end of pauses: {number(count, 'image')} failed and may be tried again, "
        f"the first one {moment(min(ends), view.now)}."
    )


_RULES: tuple[Rule, ...] = (
    _ended,
    _not_begun,
    _own_work,
    _dispatch,
    _saving,
    _service,
    _queue,
    _workers,
    _publishing,
    _answers,
    _pauses,
)

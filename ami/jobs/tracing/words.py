"""What is said of unfinished images: where they are, and what happens to them next; a sentence each."""

from __future__ import annotations

from dataclasses import dataclass

from django.conf import settings

from ami.jobs.health.inbox import ASK_AGAIN_AT_MOST
from ami.jobs.states import SERVING
from ami.jobs.tracing.groups import Group
from ami.jobs.tracing.phrases import capitalised, moment, number, period, span
from ami.jobs.tracing.places import Place, is_missing
from ami.jobs.tracing.queues import window_is_full
from ami.jobs.tracing.view import View

Sentences = tuple[str, str]
"""Where the images are, and what happens next."""


@dataclass(frozen=True, slots=True)
class Words:
    """Speaks of one group. `capture`: why its capture cannot be handed out, if that is known."""

    group: Group
    view: View
    capture: str = ""

    def about(self, place: Place) -> Sentences:
        """Both sentences, for the place where the group is."""
        return _SAY[place](self)

    def to_push(self) -> Sentences:
        """No service has it yet."""
        if self.view.lack:
            return "Waits to be pushed to a service.", capitalised(self.view.lack)
        return "Waits to be pushed to a service.", capitalised(pushing(self.view))

    def not_published(self) -> Sentences:
        """Its message was not put into the queue."""
        return "Not published yet.", publishing(self.view)

    def missing(self) -> Sentences:
        """Its message was there and is gone."""
        group, check = self.group, self.view.lost_check
        if group.lease != "over":
            return "Missing from the queue.", capitalised(f"{rebuilding(self.view)}.")
        where = f"Missing from the queue; the lease of {group.worker} {self._ran_out}."
        if self._is_exhausted:
            return where, f"All attempts are used: {check.next}, fails it (delivery_exhausted)."
        return where, capitalised(f"{rebuilding(self.view)}.")

    def unseen(self) -> Sentences:
        """Its message is there, or not."""
        return (
            "Published; NATS does not say whether it still waits in the queue.",
            f"Once NATS answers, {self._pull}; if its message was lost, the queue is rebuilt.",
        )

    def in_queue(self) -> Sentences:
        """Its message waits, as far as is known."""
        view, after = self.view, capitalised(f"{self._pull}{self._nobody}")
        if view.queue.standing is not None:
            return "Waiting in the queue.", f"{after}."
        messages, waiting = view.queue.messages or 0, view.in_queue_by_ledger
        told = f"the counts say so: {number(messages, 'message')} for {number(waiting, 'image')}"
        if not view.surely_missing:
            return f"Waiting in the queue ({told}).", f"{after}."
        where = f"Waiting in the queue, but {view.surely_missing:,} of them are missing ({told})."
        return where, f"{after}; {rebuilding(view)}."

    def leased(self) -> Sentences:
        """A worker has it."""
        group = self.group
        where = f"Leased by {group.worker} until {self._lease_end}, {self._attempt}."
        if is_missing(group, self.view.queue):
            after = f"it is missing from the queue: {rebuilding(self.view)}"
        elif not group.published and not self.view.queue.unused:
            after = "it is handed out again once it is published anew"
        else:
            after = self._pull
        return where, f"If no answer comes by then, {after}."

    def lease_over(self) -> Sentences:
        """A worker had it and said nothing."""
        group = self.group
        late = "a late result is taken as well"
        where = f"The lease of {group.worker} {self._ran_out}."
        if self.view.queue.away:
            return where, f"Once NATS answers, {self._pull}; {late}."
        return where, capitalised(f"{self._pull}{self._nobody}; {late}.")

    def paused(self) -> Sentences:
        """A worker failed it, and it may be tried again later."""
        group, view = self.group, self.view
        first, last = group.pause_first, group.pause_last
        until = period(first, last, view.now) if first and last else "a time"
        where = f"Waits after a failed attempt until {until}, {self._attempt}."
        if is_missing(group, view.queue):
            return where, f"Its message is missing from the queue: {rebuilding(view)}."
        if not group.published and not view.queue.unused:
            return where, "After that it is handed out once it is published anew."
        return where, f"After that {self._pull}{self._nobody}."

    def accepted(self) -> Sentences:
        """Its result is in the inbox."""
        tries = self.group.tries
        how = f"try {tries} of saving came to nothing" if tries else "try 1 of saving has not begun"
        return (
            f"Accepted in {self._rows}, {how}.",
            f"A saver takes it as soon as Celery hands it out; {asked_again(self.view)}.",
        )

    def being_saved(self) -> Sentences:
        """Somebody saves its result."""
        group, view = self.group, self.view
        until = moment(group.claim_last, view.now) if group.claim_last else "a time"
        return (
            f"Accepted in {self._rows}; saving is under way until {until}, try {group.tries}.",
            "It is processed when that commits; if the saver dies, the inbox check asks for another.",
        )

    def unsavable(self) -> Sentences:
        """Its result is in no inbox row."""
        return (
            f"Accepted in {self._rows}, which is not there any more.",
            "Nothing heals this by itself: see what manage.py check_invariants says.",
        )

    @property
    def _pull(self) -> str:
        """What the next reservation that meets the image does with it."""
        most, used = settings.NATS_MAX_DELIVER, self.group.used
        if self.view.job.status not in SERVING:
            return "workers may ask for it once the job has started"
        taker = "slice of pushing" if self.view.queue.unused else "pull"
        if self.capture:
            return f"the next {taker} fails it ({self.capture})"
        if self._is_exhausted:
            check = f" or {self.view.lost_check.next}," if self.group.lease else ""
            return (
                f"the next {taker}{check} fails it (delivery_exhausted: {used} of {most} attempts are used)"
            )
        return (
            f"the next {taker} {'redelivers it' if used else 'hands it out'} as attempt {used + 1} of {most}"
        )

    @property
    def _nobody(self) -> str:
        """That nobody pulls, if it takes a pull."""
        waits = self.view.lack and not (self.group.lease and self._is_exhausted)
        return ", but no worker is there for it" if waits else ""

    @property
    def _is_exhausted(self) -> bool:
        return self.group.used >= settings.NATS_MAX_DELIVER

    @property
    def _attempt(self) -> str:
        return f"attempt {self.group.used} of {settings.NATS_MAX_DELIVER}"

    @property
    def _ran_out(self) -> str:
        return f"ran out at {self._lease_end}, {self._attempt}"

    @property
    def _lease_end(self) -> str:
        first, last = self.group.lease_first, self.group.lease_last
        return period(first, last, self.view.now) if first and last else "a time"

    @property
    def _rows(self) -> str:
        group = self.group
        if group.rows == 1:
            return f"inbox row {group.row_first}"
        return f"{group.rows:,} inbox rows ({group.row_first} to {group.row_last})"


_SAY = {
    Place.TO_PUSH: Words.to_push,
    Place.NOT_PUBLISHED: Words.not_published,
    Place.MISSING: Words.missing,
    Place.UNSEEN: Words.unseen,
    Place.IN_QUEUE: Words.in_queue,
    Place.LEASED: Words.leased,
    Place.LEASE_OVER: Words.lease_over,
    Place.PAUSED: Words.paused,
    Place.ACCEPTED: Words.accepted,
    Place.BEING_SAVED: Words.being_saved,
    Place.UNSAVABLE: Words.unsavable,
}


def pushing(view: View) -> str:
    """When an image is pushed that waits for it."""
    if view.dispatching and view.job.driver_until:
        return f"its turn: a slice of pushing is at work until {moment(view.job.driver_until, view.now)}."
    return f"the next slice of pushing; {view.dispatch_check.next}, asks for one."


def publishing(view: View) -> str:
    """When an image is published that is not."""
    job = view.job
    if job.collected_at is None:
        return "Dispatch publishes it once all captures are collected."
    if view.dispatching and job.driver_until:
        return f"A dispatch is at work until {moment(job.driver_until, view.now)} and publishes it."
    if view.queue.away:
        return "Dispatch publishes it once NATS answers again."
    if window_is_full(view.queue):
        return (
            f"Dispatch publishes it when fewer than {settings.DISPATCH_WINDOW // 2:,} messages stand in the "
            f"queue; now there are {view.queue.messages:,}."
        )
    return f"The next dispatch publishes it; {view.dispatch_check.next}, asks for one."


def rebuilding(view: View) -> str:
    """When the queue is built anew, as a part of a sentence."""
    until, check = view.job.driver_until, view.dispatch_check
    if view.dispatching and until and not view.queue.is_whole:
        return f"a dispatch is at work until {moment(until, view.now)} and rebuilds the queue"
    if not view.queue.is_whole or view.loss_was_seen:
        return f"the queue is rebuilt from the ledger at {check.next}"
    if view.surely_missing:
        return f"the queue is rebuilt once the dispatch check has seen this twice, {check.within(2)}"
    return (
        "the dispatch check rebuilds the queue once fewer messages stand there than images wait; now there "
        f"are {view.queue.messages or 0:,} for {view.in_queue_by_ledger:,}"
    )


def asked_again(view: View) -> str:
    """What becomes of an inbox row that Celery lost, as a part of a sentence."""
    check = view.inbox_check
    if check.seconds is None:
        return f"what Celery lost waits for the inbox check, {check.within()}"
    longest = span(ASK_AGAIN_AT_MOST + check.seconds)
    return f"what Celery lost, the inbox check enqueues again, after {longest} at the latest"

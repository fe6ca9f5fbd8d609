"""Whether ledger, pending sets, stream and consumer agree: their figures side by side, and a verdict."""

from __future__ import annotations

from dataclasses import dataclass

from ami.jobs.tracing.verdicts import Verdict, verdicts
from ami.jobs.tracing.view import View

NOTHING = "-"
SILENT = "no answer"
GONE = "none"


@dataclass(frozen=True, slots=True)
class Row:
    """One thing that several servers count. Unit: images, or messages for images."""

    what: str
    ledger: str = NOTHING
    sets: str = NOTHING
    stream: str = NOTHING
    consumer: str = NOTHING
    differs: bool = False


@dataclass(frozen=True, slots=True)
class Agreement:
    """The table and what follows from it; the gravest verdict first, none if everything agrees."""

    rows: list[Row]
    verdicts: list[Verdict]

    @property
    def summary(self) -> str:
        """In a sentence."""
        if not self.verdicts:
            return "Everything agrees."
        if all(verdict.tone == "quiet" for verdict in self.verdicts):
            return "Nothing is wrong."
        return "Something needs a look."

    @property
    def tone(self) -> str:
        """Of the gravest verdict."""
        return self.verdicts[0].tone if self.verdicts else "good"


def agreement(view: View) -> Agreement:
    """Compare what was seen. Postgres is right wherever they differ."""
    return Agreement([*_counted_by_redis(view), *_counted_by_nats(view)], verdicts(view))


def _counted_by_redis(view: View) -> list[Row]:
    counts, found = view.counts, view.sets.snapshot
    ours = {
        "images in all": counts.total,
        "not processed yet": counts.pending,
        "not saved yet": counts.open,
        "failed": counts.failed,
    }
    if found is None:
        word = SILENT if view.sets.away else GONE
        return [Row(what, f"{count:,}", word) for what, count in ours.items()]
    theirs = (found.total, found.process, found.results, found.failed)
    return [
        Row(what, f"{count:,}", f"{other:,}", differs=count != other)
        for (what, count), other in zip(ours.items(), theirs, strict=True)
    ]


def _counted_by_nats(view: View) -> list[Row]:
    queue = view.queue
    if queue.unused:
        return []
    state, messages = queue.consumer, queue.messages
    word = SILENT if queue.away else GONE
    known = None if state is None else state.waiting + state.leased
    held = sum(group.count for group in view.groups if group.lease == "running")
    return [
        Row(
            "published and not processed",
            f"{view.in_queue_by_ledger:,}",
            stream=word if messages is None else f"{messages:,}",
            consumer=word if known is None else f"{known:,}",
            differs=len({view.in_queue_by_ledger, *_numbers(messages, known)}) > 1,
        ),
        Row("waiting to be handed out", f"{view.free:,}", consumer=f"{state.waiting:,}" if state else word),
        Row("handed out", f"{held:,}", consumer=f"{state.leased:,}" if state else word),
        Row("handed out more than once", consumer=f"{state.redelivered:,}" if state else word),
    ]


def _numbers(*some: int | None) -> list[int]:
    return [one for one in some if one is not None]

"""Where work may be interrupted, and by what: an error, a kill, or what somebody else does meanwhile."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, NoReturn

from django.db import connection
from hypothesis import strategies as st

from ami.base.failpoints import FailpointRaised, arm
from ami.jobs.tests.properties.twins import Dead, Servers

IN_TRANSACTION = frozenset(
    {
        "collect.before_commit",
        "dispatch.collected_nothing",
        "receive.before_commit",
        "refresh.counted",
        "reserve.before_commit",
        "retry.before_commit",
        "save.after_predictions",
        "save.before_commit",
    }
)
"""Nothing else can happen there: this test has one database session."""

_ADVANCING = ("advance.after_pending", "advance.after_projection", "refresh.counted")
_ACKNOWLEDGING = ("acknowledge.before", "acknowledge.after")
_FINISHING = ("finish.before_update", "finish.before_cleanup")
_COLLECTING = (
    "collect.before_commit",
    "collect.after_chunk",
    "dispatch.collected_nothing",
    "dispatch.ended_without_captures",
)
_PUBLISHING = ("publish.after_epoch", "publish.index_block", "publish.first", "publish.half")
_SAVING = ("save.claimed", "save.after_predictions", "save.before_commit", "save.after_commit")

RESERVE = ("reserve.before_commit", "reserve.after_commit")
RECEIVE = ("receive.before_commit", "receive.after_commit", "receive.after_enqueue")
CANCEL = ("cancel.after_commit",)
RETRY = ("retry.before_commit", "refresh.counted")
CHECKS = ("lost_images.before_lock", "refresh.counted", *_FINISHING)
WORK = {
    "dispatch": (*_COLLECTING, *_PUBLISHING, "refresh.counted", *_FINISHING),
    "save": (*_SAVING, *_ADVANCING, *_ACKNOWLEDGING, *_FINISHING),
    "refresh": ("refresh.counted", *_FINISHING),
}
"""By what Celery is asked for."""

ALL = frozenset((*RESERVE, *RECEIVE, *CANCEL, *RETRY, *CHECKS)).union(*WORK.values())


class How(StrEnum):
    """What happens at a failpoint."""

    ERROR = "an error"
    DEATH = "a kill"
    CANCEL = "a person cancels"
    RETRY = "a person starts it again"
    CAPTURE_DELETED = "a person deletes a capture"
    TIME = "all leases, claims and pauses run out"
    FLUSH = "Redis loses everything"
    STREAM_GONE = "NATS loses the stream"
    RESERVE = "somebody reserves"
    POST = "somebody posts"
    CHECKS = "health checks run"
    BACKGROUND = "other background work runs"


BREAKS = (How.ERROR, How.DEATH)


@dataclass(frozen=True, slots=True)
class Stop:
    """At this failpoint, this."""

    point: str
    how: How


@st.composite
def stops(draw: st.DrawFn, points: tuple[str, ...]) -> Stop | None:
    """No stop, or one at one of these points."""
    if draw(st.booleans()):
        return None
    point = draw(st.sampled_from(points))
    return Stop(point, draw(st.sampled_from(BREAKS if point in IN_TRANSACTION else tuple(How))))


@contextmanager
def stopped(stop: Stop | None, servers: Servers, happen: Callable[[How], object]) -> Iterator[None]:
    """Do what the stop says while the block runs; what is no break happens once, by `happen`."""
    if stop is None:
        yield
        return
    if stop.how is How.ERROR:
        with arm(stop.point):
            yield
        return
    if stop.how is How.DEATH:
        with arm(stop.point, lambda: _die(servers)):
            try:
                yield
            finally:
                _bury(servers)
        return
    happened = False

    def act() -> None:
        nonlocal happened
        if not happened:
            happened = True
            happen(stop.how)

    with arm(stop.point, act):
        yield


def _die(servers: Servers) -> NoReturn:
    """From here on nothing that this process does has any effect."""
    servers.caller_is_dead = True
    connection.execute_wrappers.append(_refuse)
    raise Dead


def _refuse(*_: Any) -> NoReturn:
    raise Dead


def _bury(servers: Servers) -> None:
    """The next process begins with a session of its own; locks of the old one are gone."""
    if servers.caller_is_dead:
        servers.caller_is_dead = False
        connection.execute_wrappers.remove(_refuse)
        connection.close()


ENDS_OF_WORK = (FailpointRaised, Dead)
"""What a stop lets out."""

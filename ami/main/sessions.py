"""Sessions: captures of a station without a long gap between them, found and written by set-based statements.

Grouping has three parts, each a transaction of its caller: `plan` makes the sessions of a station what they
should be, `assign` gives captures to a few of them at a time, `tally` counts. Each may be repeated, and two
that group the same station at once come to the same sessions.

A capture that comes alone (an upload) need not wait for that: `session_for` finds its session by itself, and
grouping finds nothing to change in what it did. Whoever writes sessions holds the row of their station.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import transaction

from ami.base import clock
from ami.base.database import execute, rows
from ami.main.session_matching import Span, match

ASSIGN_AT_ONCE = 200
"""Sessions whose captures are updated in one statement."""

_HOLD = """
SELECT p.session_time_gap_seconds FROM main_deployment d JOIN main_project p ON p.id = d.project_id
WHERE d.id = %(deployment)s FOR NO KEY UPDATE OF d
"""
_FIND = """
WITH timed AS (
    SELECT timestamp,
        timestamp - lag(timestamp) OVER (ORDER BY timestamp) > make_interval(secs => %(gap)s) AS opens
    FROM main_sourceimage WHERE deployment_id = %(deployment)s AND timestamp IS NOT NULL
), numbered AS (
    SELECT timestamp, count(*) FILTER (WHERE opens) OVER (ORDER BY timestamp) AS number FROM timed
)
SELECT min(timestamp), max(timestamp) FROM numbered GROUP BY number ORDER BY number
"""
_BESIDE = """
(SELECT start, "end", id FROM main_event WHERE deployment_id = %(deployment)s AND start <= %(at)s
    ORDER BY start DESC LIMIT 1)
UNION ALL
(SELECT start, "end", id FROM main_event WHERE deployment_id = %(deployment)s AND start > %(at)s
    ORDER BY start LIMIT 1)
"""
_KNOWN = 'SELECT start, "end", id FROM main_event WHERE deployment_id = %(deployment)s'
_LET_GO = """
UPDATE main_sourceimage c SET event_id = NULL, updated_at = clock_timestamp()
WHERE c.event_id = ANY(%(gone)s)
    OR (c.deployment_id = %(deployment)s AND c.event_id IS NOT NULL AND (c.timestamp IS NULL OR NOT EXISTS (
        SELECT FROM main_event e WHERE e.id = c.event_id AND e.deployment_id = %(deployment)s)))
"""
_LEFT = """
UPDATE main_sourceimage c SET event_id = NULL, updated_at = clock_timestamp() FROM main_event e
WHERE e.deployment_id = %(deployment)s AND c.event_id = e.id
    AND c.deployment_id IS DISTINCT FROM %(deployment)s
"""
_MOVE = """
UPDATE main_sourceimage SET event_id = %(key)s, updated_at = clock_timestamp()
WHERE event_id = ANY(%(gone)s) OR (deployment_id = %(deployment)s AND event_id IS DISTINCT FROM %(key)s
    AND timestamp BETWEEN %(start)s AND %(end)s)
"""
_DELETE = "DELETE FROM main_event WHERE id = ANY(%(gone)s)"
_CHANGE = """
UPDATE main_event e SET start = n.start, "end" = n."end", updated_at = %(now)s
FROM unnest(%(keys)s::bigint[], %(starts)s::timestamptz[], %(ends)s::timestamptz[]) AS n(id, start, "end")
WHERE e.id = n.id AND (e.start, e."end") IS DISTINCT FROM (n.start, n."end")
"""
_CREATE = """
INSERT INTO main_event (deployment_id, start, "end", created_at, updated_at)
SELECT %(deployment)s, n.start, n."end", %(now)s, %(now)s
FROM unnest(%(starts)s::timestamptz[], %(ends)s::timestamptz[]) AS n(start, "end")
RETURNING id
"""
_NEXT = """
SELECT id FROM main_event WHERE deployment_id = %(deployment)s AND id > %(after)s ORDER BY id LIMIT %(most)s
"""
_ASSIGN = """
WITH moved AS (
    UPDATE main_sourceimage c SET event_id = e.id, updated_at = clock_timestamp() FROM main_event e
    WHERE e.id = ANY(%(keys)s) AND c.deployment_id = %(deployment)s
        AND c.timestamp BETWEEN e.start AND e."end" AND c.event_id IS DISTINCT FROM e.id
    RETURNING e.id
)
SELECT count(*) FROM (
    SELECT id FROM moved UNION
    SELECT id FROM main_event WHERE id = ANY(%(keys)s) AND updated_at = %(planned)s
) touched
"""
_TALLY = """
SELECT count(event_id), count(*) - count(event_id), count(*) - count(timestamp),
    count(timestamp) - count(DISTINCT timestamp)
FROM main_sourceimage WHERE deployment_id = %(deployment)s
"""


@dataclass(frozen=True, slots=True)
class Plan:
    """What changed among the sessions of a station."""

    created: int
    deleted: int
    at: datetime
    """Rows that changed bear this time."""


@dataclass(frozen=True, slots=True)
class Tally:
    """The captures of a station, counted."""

    grouped: int = 0
    ungrouped: int = 0
    without_time: int = 0
    duplicate_times: int = 0


@dataclass(frozen=True, slots=True)
class Regrouped:
    """What a whole grouping did."""

    created: int
    touched: int
    deleted: int
    tally: Tally


def plan(deployment_id: int) -> Plan:
    """Find the sessions of a station, and make its rows say them. Call it inside a transaction.

    A session that overlaps one that was there stays that one; one that overlaps none any more is deleted.
    """
    now = clock.now()
    held = rows(_HOLD, {"deployment": deployment_id})
    if not held:
        return Plan(0, 0, now)
    found = [Span(start, end) for start, end in rows(_FIND, {"deployment": deployment_id, "gap": held[0][0]})]
    known = [Span(*row) for row in rows(_KNOWN, {"deployment": deployment_id})]
    matched = match(found, known)
    gone = sorted({span.key for span in known} - set(matched.values()))
    named = {"deployment": deployment_id, "gone": gone, "now": now}
    execute(_LET_GO, named)
    execute(_LEFT, named)
    execute(_DELETE, named)
    kept = [(key, found[place]) for place, key in matched.items()]
    execute(_CHANGE, named | {"keys": [key for key, _ in kept], **_columns([span for _, span in kept])})
    new = [span for place, span in enumerate(found) if place not in matched]
    execute(_CREATE, named | _columns(new))
    return Plan(len(new), len(gone), now)


def assign(deployment_id: int, after: int, planned: datetime) -> tuple[int, int] | None:
    """Give captures to the next sessions after this key: the last key, and how many are new or changed.

    None when there are no more. Call it inside a transaction; `planned` is the time of the plan.
    """
    rows(_HOLD, {"deployment": deployment_id})  # so that no upload unites these sessions meanwhile
    named = {"deployment": deployment_id, "after": after, "most": ASSIGN_AT_ONCE, "planned": planned}
    keys = [row[0] for row in rows(_NEXT, named)]
    if not keys:
        return None
    return keys[-1], rows(_ASSIGN, named | {"keys": keys})[0][0]


def tally(deployment_id: int) -> Tally:
    """Count the captures of a station, as they are now."""
    return Tally(*rows(_TALLY, {"deployment": deployment_id})[0])


@transaction.atomic
def regroup(deployment_id: int) -> Regrouped:
    """Group the captures of a station at once: for few of them, or where nobody waits."""
    planned = plan(deployment_id)
    touched, after = 0, 0
    while assigned := assign(deployment_id, after, planned.at):
        after, more = assigned
        touched += more
    return Regrouped(planned.created, touched, planned.deleted, tally(deployment_id))


def session_for(deployment_id: int, moment: datetime | None) -> int | None:
    """The session of a capture that is about to be stored with this time: found, stretched, united or new.

    Call it inside the transaction that stores the capture, as late as possible: other captures of the station
    wait until that ends. None for a capture without a time. It costs a few look-ups in an index, however many
    captures the station has: sessions do not overlap, so that only the one before and the one after matter.
    Where a capture closes the gap between two, the longer one goes on, and the captures of the other move.

    Captures that were never grouped (imported ones) are passed over: they are for `plan` to group, and so is
    what a new limit or a deletion changes.
    """
    named = {"deployment": deployment_id, "at": moment}
    held = rows(_HOLD, named) if moment is not None else []
    if moment is None or not held:
        return None
    gap = timedelta(seconds=held[0][0])
    beside = [Span(*row) for row in rows(_BESIDE, named)]
    near = [span for span in beside if span.start - moment <= gap and moment - span.end <= gap]
    whole = Span(min([moment, *(span.start for span in near)]), max([moment, *(span.end for span in near)]))
    return _become(deployment_id, whole, near)


def _become(deployment_id: int, whole: Span, near: list[Span]) -> int:
    """Make one session of those that are near, or a new one if there are none; its key."""
    named = {"deployment": deployment_id, "now": clock.now(), **_columns([whole])}
    if not near:
        return int(rows(_CREATE, named)[0][0])
    key = match([whole], near)[0]
    if gone := [span.key for span in near if span.key != key]:
        # All of its captures, also those that a grouping under way has planned and not yet assigned.
        execute(_MOVE, named | {"key": key, "gone": gone, "start": whole.start, "end": whole.end})
        execute(_DELETE, {"gone": gone})
    execute(_CHANGE, named | {"keys": [key]})
    return key


def _columns(spans: list[Span]) -> dict[str, list[datetime]]:
    return {"starts": [span.start for span in spans], "ends": [span.end for span in spans]}

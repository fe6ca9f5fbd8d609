"""Workers by name: who called, and when they were last heard of.

A call marks its caller alive and nobody else. The row of a worker is made at its first call, so that the
ledger can name it; after that, each process writes a sign of life every `THROTTLE`, in the background.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import timedelta

from django.db.models import F

from ami.base import clock
from ami.base.database import rows
from ami.ml.models import ProcessingService, WorkerInstance, WorkerKey
from ami.ml.models.processing_service import ONLINE_FOR

THROTTLE = timedelta(seconds=30)
"""Half of the time after which a silent worker counts as offline."""

MOST_PER_HOLDER = 1_000
"""Names of workers come from strangers; further ones are one worker."""

OTHERS = "others"
_BELIEVE_SECONDS = 300.0
_MOST_REMEMBERED = 10_000
_known: dict[tuple[str, str], tuple[int, float]] = {}
"""Holder and name → the worker's row, and until when this process believes in it."""


@dataclass(frozen=True, slots=True)
class Identity:
    """A worker as it introduced itself; only `holder` and the ids behind it are proven."""

    holder: str
    name: str
    service_id: int | None = None
    user_id: int | None = None
    hostname: str = ""
    software: str = ""
    version: str = ""
    platform: str = ""


@dataclass(frozen=True, slots=True)
class SignOfLife:
    """What is written about a worker once in a while."""

    instance_id: int
    service_ids: tuple[int, ...] = ()
    """Services that this call proves alive."""
    key_id: int | None = None
    rejected: int = 0
    """Items that were refused since the last sign of life."""


def instance_id(identity: Identity) -> int:
    """The row of a worker, made if it is new. At most one statement, and none for a worker known here."""
    key = (identity.holder, identity.name)
    known, believed_until = _known.get(key, (0, 0.0))
    if time.monotonic() < believed_until:
        return known
    found = _touch(identity)
    if len(_known) >= _MOST_REMEMBERED:
        _known.clear()
    _known[key] = (found, time.monotonic() + _BELIEVE_SECONDS)
    return found


def _touch(identity: Identity) -> int:
    """Make or refresh the row; beyond `MOST_PER_HOLDER` names, that of all others. Safe to run twice."""
    found = rows(
        """WITH known AS (SELECT count(*) AS n, bool_or(name = %(name)s) AS mine FROM ml_workerinstance
            WHERE holder = %(holder)s),
        named AS (SELECT CASE WHEN mine OR n < %(most)s THEN %(name)s ELSE %(others)s END AS name FROM known)
        INSERT INTO ml_workerinstance (holder, name, service_id, user_id, hostname, software, version,
            platform, last_seen, online, rejected, created_at, updated_at)
        SELECT %(holder)s, name, %(service)s, %(user)s, %(hostname)s, %(software)s, %(version)s,
            %(platform)s, clock_timestamp(), true, 0, clock_timestamp(), clock_timestamp() FROM named
        ON CONFLICT (holder, name) DO UPDATE SET hostname = EXCLUDED.hostname, software = EXCLUDED.software,
            version = EXCLUDED.version, platform = EXCLUDED.platform, last_seen = EXCLUDED.last_seen,
            online = true, updated_at = EXCLUDED.updated_at
        RETURNING id""",
        {
            "holder": identity.holder,
            "name": identity.name,
            "most": MOST_PER_HOLDER,
            "others": OTHERS,
            "service": identity.service_id,
            "user": identity.user_id,
            "hostname": identity.hostname,
            "software": identity.software,
            "version": identity.version,
            "platform": identity.platform,
        },
    )
    return int(found[0][0])


def write_sign_of_life(sign: SignOfLife) -> None:
    """Mark a worker, its key and its services as seen now. Not safe to run twice: it adds up refusals."""
    now = clock.now()
    WorkerInstance.objects.filter(pk=sign.instance_id).update(
        last_seen=now, online=True, rejected=F("rejected") + sign.rejected
    )
    if sign.key_id is not None:
        WorkerKey.objects.filter(pk=sign.key_id).update(last_used_at=now)
    for service_id in sorted(sign.service_ids):
        ProcessingService.objects.filter(pk=service_id).update(last_seen=now, last_seen_live=True)


def mark_silent_offline() -> int:
    """Workers and pull services that were not heard of for `ONLINE_FOR` are offline; returns how many turned.

    Safe to run twice.
    """
    silent_since = clock.now() - ONLINE_FOR
    workers = WorkerInstance.objects.filter(online=True, last_seen__lt=silent_since).update(online=False)
    services = ProcessingService.objects.pulling().filter(last_seen_live=True, last_seen__lt=silent_since)
    return workers + services.update(last_seen_live=False)


def forget_known() -> None:
    """Look for every worker anew."""
    _known.clear()

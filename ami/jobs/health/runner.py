"""Runs health checks: each alone, under its own lock, so that one that fails never stops the next."""

from __future__ import annotations

import time
from typing import Protocol

import structlog
from django.db import connection

from ami.base import clock
from ami.base.locks import only_one
from ami.base.metrics.counted import FIXED, UNFIXABLE
from ami.jobs.health import history
from ami.jobs.health.dispatch import check_dispatch
from ami.jobs.health.inbox import check_inbox
from ami.jobs.health.lost_images import check_lost_images
from ami.jobs.health.pending_sets import check_pending_sets
from ami.jobs.health.report import Report
from ami.jobs.health.samples import check_samples
from ami.jobs.health.snapshots import check_snapshots
from ami.jobs.health.stalled import check_stalled
from ami.jobs.health.zombies import check_zombies

logger = structlog.get_logger(__name__)


class Check(Protocol):
    """Looks at the system and repairs what evidence says is broken; `dry_run`: only looks."""

    def __call__(self, *, dry_run: bool = False) -> Report:
        """Safe to run twice."""


CHECKS: dict[str, Check] = {
    "inbox": check_inbox,
    "dispatch": check_dispatch,
    "lost_images": check_lost_images,
    "pending_sets": check_pending_sets,
    "stalled_jobs": check_stalled,
    "snapshots": check_snapshots,
    "zombie_streams": check_zombies,
    "samples": check_samples,
}
"""In the order in which a full run takes them: what waits for saving first."""


def run_check(name: str, *, dry_run: bool = False) -> Report:
    """Run one check; raises KeyError for a name that is none. A failure is a report, not an exception."""
    check = CHECKS[name]
    began_at, began = clock.now(), time.monotonic()
    try:
        with only_one(f"health.{name}") as mine:
            report = check(dry_run=dry_run) if mine else Report(skipped=True)
    except Exception as error:  # a check that fails must not take the others with it
        logger.exception("health.failed", check=name)
        connection.close_if_unusable_or_obsolete()
        report = Report(unfixable=1, error=repr(error)[:500])
    if report.skipped or dry_run:
        return report
    _count(name, report)
    if not report.is_quiet:
        logger.info("health.report", check=name, **report.as_dict())
    history.keep(name, report, began_at=began_at, seconds=time.monotonic() - began)
    return report


def _count(name: str, report: Report) -> None:
    if report.fixed:
        FIXED.inc(name, amount=report.fixed)
    if report.unfixable:
        UNFIXABLE.inc(name, amount=report.unfixable)


def run_all(*, dry_run: bool = False) -> dict[str, Report]:
    """Run every check once."""
    return {name: run_check(name, dry_run=dry_run) for name in CHECKS}

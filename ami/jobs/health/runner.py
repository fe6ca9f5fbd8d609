"""Runs health checks: each alone, under its own lock, so that one that fails never stops the next."""

from __future__ import annotations

from collections.abc import Callable

import structlog
from django.db import connection

from ami.base.locks import only_one
from ami.jobs.health.dispatch import check_dispatch
from ami.jobs.health.inbox import check_inbox
from ami.jobs.health.report import Report

logger = structlog.get_logger(__name__)

CHECKS: dict[str, Callable[[], Report]] = {
    "inbox": check_inbox,
    "dispatch": check_dispatch,
}
"""In the order in which a full run takes them: what waits for saving first."""


def run_check(name: str) -> Report:
    """Run one check; raises KeyError for a name that is none. A failure is a report, not an exception."""
    check = CHECKS[name]
    try:
        with only_one(f"health.{name}") as mine:
            report = check() if mine else Report(skipped=True)
    except Exception:  # a check that fails must not take the others with it
        logger.exception("health.failed", check=name)
        connection.close_if_unusable_or_obsolete()
        report = Report(unfixable=1)
    if report.fixed or report.unfixable:
        logger.info("health.report", check=name, **report.as_dict())
    return report


def run_all() -> dict[str, Report]:
    """Run every check once."""
    return {name: run_check(name) for name in CHECKS}

"""Keeps the reports of health checks for people: the only writer of `HealthReport`."""

from __future__ import annotations

from datetime import datetime, timedelta

import structlog
from django.conf import settings
from django.db import Error

from ami.base import clock
from ami.base.database import execute
from ami.jobs.health.report import Report
from ami.jobs.models import HealthReport

logger = structlog.get_logger(__name__)

# A quiet run is added to the newest row of its check, if that is quiet as well.
_ADD_TO_QUIET = """UPDATE jobs_healthreport SET last_at = %(at)s, runs = runs + 1, seconds = %(seconds)s,
    checked = %(checked)s
WHERE id = (SELECT id FROM jobs_healthreport WHERE check_name = %(check)s
        ORDER BY last_at DESC, id DESC LIMIT 1)
    AND fixed = 0 AND unfixable = 0 AND last_at <= %(at)s"""


def keep(check: str, report: Report, *, began_at: datetime, seconds: float) -> None:
    """Write down what a run did. Never raises for the database: a report is not worth a check."""
    try:
        if report.is_quiet and execute(
            _ADD_TO_QUIET,
            {"check": check, "at": began_at, "seconds": seconds, "checked": report.checked},
        ):
            return
        HealthReport.objects.create(
            check_name=check,
            first_at=began_at,
            last_at=began_at,
            seconds=seconds,
            checked=report.checked,
            fixed=report.fixed,
            unfixable=report.unfixable,
            error=report.error,
        )
        _forget_old(check)
    except Error as error:
        logger.warning("health.report_not_kept", check=check, error=repr(error)[:500])


def _forget_old(check: str) -> None:
    too_old = clock.now() - timedelta(days=settings.HEALTH_REPORTS_KEPT_DAYS)
    HealthReport.objects.filter(check_name=check, last_at__lt=too_old).delete()

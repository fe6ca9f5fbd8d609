"""samples: thin out the course of jobs, which nobody reads by the second a day later, and forget it."""

from __future__ import annotations

from django.conf import settings

from ami.base.database import execute, rows
from ami.jobs.health.report import Report

FINE_FOR_HOURS = 24
COARSE_SECONDS = 600
AT_ONCE = 50_000
"""Rows deleted in one statement; the rest has its turn in the next run."""

_TOO_OLD = "s.at < clock_timestamp() - make_interval(days => %(days)s)"
_TOO_FINE = """s.at < clock_timestamp() - make_interval(hours => %(hours)s) AND EXISTS (
    SELECT 1 FROM jobs_jobsample later WHERE later.job_id = s.job_id AND later.at > s.at
        AND later.at < to_timestamp((floor(extract(epoch FROM s.at) / %(coarse)s) + 1) * %(coarse)s))"""
"""Of each ten minutes the last sample stays: differences between those that stay lose nothing."""

_OVERDUE = f"""
SELECT s.id FROM jobs_jobsample s WHERE ({_TOO_OLD}) OR ({_TOO_FINE}) ORDER BY s.at LIMIT %(most)s
"""  # noqa: S608 - constants of this module


def check_samples(*, dry_run: bool = False) -> Report:
    """Delete samples that are overdue: bounded, hence safe to run twice and at any time."""
    wanted = {
        "days": settings.JOB_SAMPLES_KEPT_DAYS,
        "hours": FINE_FOR_HOURS,
        "coarse": COARSE_SECONDS,
        "most": AT_ONCE,
    }
    overdue = [row[0] for row in rows(_OVERDUE, wanted)]
    if overdue and not dry_run:
        execute("DELETE FROM jobs_jobsample WHERE id = ANY(%s)", [overdue])
    return Report(checked=len(overdue), fixed=len(overdue))

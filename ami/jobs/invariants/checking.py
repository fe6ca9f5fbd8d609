"""The invariants that one look at the database can judge.

Each is a statement that returns the jobs that break it, with a number that says how badly.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from django.conf import settings

from ami.base.database import one_view, rows
from ami.jobs.invariants.figures import wrong_figures
from ami.jobs.invariants.violation import Violation
from ami.jobs.lifecycle.push.batches import lease_seconds

LEASE_SLACK_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class _Rule:
    """`sql` yields (job id, count) for `%(jobs)s` (null: all jobs); `text` has a place for the count."""

    invariant: str
    text: str
    sql: str


_FINAL = "('SUCCESS', 'FAILURE', 'REVOKED')"
_TASKS = "jobs_jobtask t JOIN jobs_job j ON j.id = t.job_id"


def _rows_where(condition: str, source: str = _TASKS) -> str:
    """Counts by job the rows of the ledger (`t`, their job `j`) that should not be."""
    return f"""SELECT t.job_id, count(*) FROM {source}
        WHERE (%(jobs)s::bigint[] IS NULL OR t.job_id = ANY(%(jobs)s)) AND ({condition})
        GROUP BY 1 ORDER BY 1"""  # noqa: S608 - made of constants


RULES = (
    _Rule("I1", "{} ledger rows have no known state", _rows_where("t.status NOT IN (0, 1, 2, 3, 4)")),
    _Rule("I1", "{} ledger rows belong to a run that has not begun", _rows_where("t.run > j.run")),
    _Rule(
        "I2",
        "{} images are pending although the job ended",
        _rows_where(f"t.status = 0 AND j.status IN {_FINAL}"),
    ),
    _Rule(
        "I2",
        "{} accepted results are not saved although the job finished",
        _rows_where("t.status = 1 AND j.status IN ('SUCCESS', 'FAILURE')"),
    ),
    _Rule(
        "I2",
        "{} accepted results are in no inbox row that waits for saving",
        _rows_where(
            "t.status = 1 AND (i.id IS NULL OR i.applied_at IS NOT NULL)",
            f"{_TASKS} LEFT JOIN jobs_inboxentry i ON i.id = t.accepted_in AND i.job_id = t.job_id",
        ),
    ),
    _Rule(
        "I2",
        "{} failed images do not say why",
        _rows_where("t.status = 3 AND (t.error_code = '' OR t.error_text = '' OR t.finished_at IS NULL)"),
    ),
    _Rule(
        "I2",
        "{} images failed in the hands of a worker without naming it, or without any attempt",
        _rows_where(
            """t.status = 3 AND t.error_code IN ('worker_error', 'delivery_exhausted', 'rejected_result',
                'service_error', 'service_timeout')
            AND (t.worker = '' OR t.attempt = 0)"""
        ),
    ),
    _Rule(
        "I2",
        "{} failed images had attempts, and none is noted for the last run",
        _rows_where(
            """t.status = 3 AND t.attempt > 0 AND t.error_code IN ('worker_error', 'delivery_exhausted',
                'service_error', 'service_timeout')
            AND NOT EXISTS (SELECT 1 FROM jobs_attempt a
                WHERE a.job_id = t.job_id AND a.image_id = t.image_id AND a.run = t.run)"""
        ),
    ),
    _Rule(
        "I3",
        "{} processed images have fewer detections than were counted",
        _rows_where(
            """t.status = 2 AND t.detections > (SELECT count(*) FROM ml_detection d
                WHERE d.source_image_id = t.image_id AND d.x1 IS NOT NULL)
            AND EXISTS (SELECT 1 FROM main_sourceimage c WHERE c.id = t.image_id)"""
        ),
    ),
    _Rule(
        "I6",
        "{} images are leased although their outcome is known",
        _rows_where("t.status <> 0 AND t.leased_until IS NOT NULL"),
    ),
    _Rule(
        "I6",
        "{} images have a result, and nobody ever had a lease on them",
        _rows_where("t.status IN (1, 2) AND (t.attempt = 0 OR t.worker = '')"),
    ),
    _Rule(
        "I6",
        "{} images are leased for longer than a lease lasts",
        _rows_where(
            """t.leased_until > clock_timestamp() + make_interval(secs =>
            CASE j.dispatch_mode WHEN 'sync_api' THEN %(push_lease)s ELSE %(lease)s END)"""
        ),
    ),
    _Rule(
        "I6",
        "{} images were handed out more often than allowed",
        _rows_where("t.attempt - t.released > %(attempts)s OR t.released > t.attempt"),
    ),
)


_ALL_RULES = " UNION ALL ".join(
    f"SELECT {number}, broken.* FROM ({rule.sql}) AS broken"  # noqa: S608 - made of constants
    for number, rule in enumerate(RULES)
)


def check(job_ids: Sequence[int] | None = None, *, at_rest: bool = False) -> list[Violation]:
    """What does not hold now; empty when all is well. `job_ids`: only these jobs.

    The figures that jobs show (I4) are compared where they have come to rest: in ended jobs that nothing is
    asked for any more; `at_rest`: in all, because the caller knows that nobody is at work.
    """
    chosen = None if job_ids is None else list(job_ids)
    parameters = {
        "jobs": chosen,
        "lease": settings.NATS_TASK_TTR + LEASE_SLACK_SECONDS,
        "push_lease": lease_seconds() + LEASE_SLACK_SECONDS,
        "attempts": settings.NATS_MAX_DELIVER,
    }
    found = []
    with one_view():
        for number, job_id, count in sorted(rows(_ALL_RULES, parameters)):
            rule = RULES[number]
            found.append(Violation(rule.invariant, job_id, rule.text.format(count)))
        found += wrong_figures(chosen, at_rest=at_rest)
    return found

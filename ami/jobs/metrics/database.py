"""What Postgres says: a fixed number of statements, over a connection of their own that gives up in time.

Images are counted by the stages of unfinished jobs (a projection, at most a second old), so that no
statement reads a ledger of millions of rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import psycopg
from django.db import connections

from ami.base.metrics.rendering import Sample
from ami.jobs.metrics import table
from ami.jobs.states import RUNNING, SERVING, DispatchMode
from ami.ml.models.processing_service import ONLINE_FOR

STATEMENT_MS = 2_000
MOST_JOBS = 2_000
MOST_DEAD_LETTERS = 100_000


@dataclass(frozen=True, slots=True)
class ServingJob:
    """A job that hands out tasks."""

    id: int
    pipeline: str


@dataclass(frozen=True, slots=True)
class Facts:
    """What Postgres knows, and what others are asked about."""

    samples: list[Sample]
    serving: list[ServingJob]
    slugs: dict[int, str]
    """Of pipelines, by id."""


def figure(stage: str, key: str) -> str:
    """SQL for the sum of one figure of a stage (`s`) over jobs; figures are empty until they are known."""
    value = f"""jsonb_path_query_first(s.params, '$[*] ? (@.key == "{key}").value') #>> '{{}}'"""
    return f"COALESCE(sum(NULLIF({value}, '')::bigint) FILTER (WHERE s.key = '{stage}'), 0)::bigint"


_PENDING, _HANDLED = figure("process", "remaining"), figure("process", "processed")
_FAILED, _SAVED = figure("process", "failed"), figure("results", "captures")

_JOBS = "SELECT status, dispatch_mode, count(*) FROM jobs_job GROUP BY 1, 2"
_TASKS = f"""SELECT p.slug, {_PENDING}, {_HANDLED}, {_SAVED}, {_FAILED}
FROM jobs_job j JOIN ml_pipeline p ON p.id = j.pipeline_id
JOIN jobs_jobstage s ON s.job_id = j.id AND s.key IN ('process', 'results')
WHERE j.status IN ('PENDING', 'STARTED', 'RETRY') GROUP BY 1"""  # noqa: S608 - made of constants
_OLDEST = """SELECT dispatch_mode,
    EXTRACT(EPOCH FROM clock_timestamp() - min(COALESCE(scheduled_at, created_at)))::float8
FROM jobs_job WHERE status IN ('PENDING', 'STARTED', 'RETRY') GROUP BY 1"""
_INBOX = """SELECT count(*),
    COALESCE(EXTRACT(EPOCH FROM clock_timestamp() - min(created_at)), 0)::float8 FROM jobs_inboxentry"""
_DEAD = """SELECT count(*) FROM
    (SELECT 1 FROM jobs_jobtask WHERE failed_at IS NOT NULL LIMIT %s) AS failed"""
_WORKERS = """SELECT COALESCE(s.name, ''), count(*) FROM ml_workerinstance w
LEFT JOIN ml_processingservice s ON s.id = w.service_id
WHERE w.online AND w.last_seen > clock_timestamp() - make_interval(secs => %s) GROUP BY 1"""
_SERVICES = """SELECT CASE WHEN COALESCE(endpoint_url, '') = '' THEN 'pull' ELSE 'push' END, count(*)
FROM ml_processingservice
WHERE last_seen_live AND last_seen > clock_timestamp() - make_interval(secs => %s) GROUP BY 1"""
_HEALTH = """SELECT c.name, GREATEST(0, EXTRACT(EPOCH FROM clock_timestamp() - r.last_at))::float8,
    r.fixed, r.unfixable
FROM unnest(%s::text[]) AS c(name) CROSS JOIN LATERAL (SELECT last_at, fixed, unfixable
    FROM jobs_healthreport WHERE check_name = c.name ORDER BY last_at DESC, id DESC LIMIT 1) AS r"""
_NOTIFICATIONS = "SELECT count(*) FROM jobs_notification WHERE state = 'waiting'"
_SERVING = """SELECT j.id, p.slug FROM jobs_job j JOIN ml_pipeline p ON p.id = j.pipeline_id
WHERE j.status = ANY(%s) AND j.dispatch_mode = %s ORDER BY j.id DESC LIMIT %s"""
_SLUGS = "SELECT id, slug FROM ml_pipeline"


def ask_postgres(checks: Sequence[str]) -> Facts:
    """Everything at one moment. `checks`: the health checks that there are. Raises psycopg.Error."""
    known: dict[str, Any] = connections["default"].get_connection_params()
    parameters = {
        key: value
        for key, value in known.items()
        if value and (key in ("dbname", "host", "port", "user", "password") or key.startswith("ssl"))
    }
    options = f"-c statement_timeout={STATEMENT_MS}"
    with psycopg.connect(
        **parameters, connect_timeout=1, tcp_user_timeout=2_000, options=options
    ) as connection:
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        connection.read_only = True
        return _facts(connection, checks)


def _facts(connection: psycopg.Connection[Any], checks: Sequence[str]) -> Facts:
    def rows(sql: str, *parameters: object) -> list[Any]:
        return connection.execute(sql, parameters or None).fetchall()

    online = ONLINE_FOR.total_seconds()
    samples: list[Sample] = [(table.JOBS.name, (status, mode), n) for status, mode, n in rows(_JOBS)]
    for slug, pending, handled, saved, failed in rows(_TASKS):
        by_state = {
            "pending": pending,
            "received": max(0, handled - saved - failed),
            "processed": saved,
            "failed": failed,
        }
        samples += [(table.TASKS.name, (slug, state), n) for state, n in by_state.items()]
    samples += [(table.OLDEST_JOB.name, (mode,), age) for mode, age in rows(_OLDEST)]
    posts, oldest = rows(_INBOX)[0]
    samples += [(table.INBOX.name, (), posts), (table.INBOX_AGE.name, (), oldest)]
    samples.append((table.DEAD_LETTERS.name, (), rows(_DEAD, MOST_DEAD_LETTERS)[0][0]))
    samples.append((table.NOTIFICATIONS.name, (), rows(_NOTIFICATIONS)[0][0]))
    samples += [(table.WORKERS.name, (name,), n) for name, n in rows(_WORKERS, online)]
    services = {"pull": 0, "push": 0} | dict(rows(_SERVICES, online))
    samples += [(table.SERVICES.name, (kind,), n) for kind, n in services.items()]
    for check, age, fixed, unfixable in rows(_HEALTH, list(checks)):
        samples.append((table.HEALTH_AGE.name, (check,), age))
        samples.append((table.HEALTH_FIXED.name, (check,), fixed))
        samples.append((table.HEALTH_UNFIXABLE.name, (check,), unfixable))
    serving = rows(_SERVING, sorted(SERVING), DispatchMode.ASYNC_API.value, MOST_JOBS)
    return Facts(samples, [ServingJob(*row) for row in serving], dict(rows(_SLUGS)))


assert {"PENDING", "STARTED", "RETRY"} == {str(state) for state in RUNNING}  # noqa: S101 - as SQL has it

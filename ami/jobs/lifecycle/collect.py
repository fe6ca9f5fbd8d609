"""collect: one ledger row per capture, by set-based statements; no capture is loaded into Python.

Chunks go by ranges of capture ids, so a slice that died goes on where the cursor stands; a job with a limit
is one statement, because which captures are chosen depends on all of them. The order of a shuffled job is a
hash of job and capture, so that a repeated chunk chooses the same.
"""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models.functions import Now

from ami.base.database import execute, rows
from ami.base.errors import InvalidInput
from ami.base.failpoints import hit
from ami.jobs import logs
from ami.jobs.lifecycle import claims
from ami.jobs.lifecycle.claims import Claim
from ami.jobs.lifecycle.processed import to_do
from ami.jobs.models import Job
from ami.jobs.states import ErrorCode, TaskState

ANALYZE_FROM = 1_000
"""Rows from which a fresh ledger is analysed; below, the planner cannot choose badly enough to matter."""

_IN_ORDER = """SET LOCAL enable_sort = off; SET LOCAL enable_bitmapscan = off; SET LOCAL enable_seqscan = off;
SET LOCAL enable_hashjoin = off"""
"""A chunk is read along an index from where the last one ended. Postgres, before it has counted new captures,
takes them for few, and would read and sort all that are left for every chunk."""

_SHUFFLED = "hashint8extended(id, %(job)s)"


def collect_chunk(claim: Claim) -> bool:
    """Collect the next chunk; True when there may be more to do, False when collecting is over (or lost).

    Safe to run twice: a capture has one row per job, whatever happens.
    """
    with transaction.atomic():
        if not claims.hold_while_collecting(claim):
            return False
        job = Job.objects.select_related("source_image_collection", "project", "pipeline").get(
            pk=claim.job_id
        )
        seen, last_id, done = _insert(job, claim.run)
        finished = job.limit is not None or seen < settings.COLLECT_CHUNK
        changes: dict[str, Any] = {"collect_cursor": last_id or job.collect_cursor}
        if finished:
            changes["collected_at"] = Now()
        hit("collect.before_commit")
        Job.objects.filter(pk=job.pk).update(**changes)
    hit("collect.after_chunk")
    if done:
        logs.write_one(
            job.pk,
            "job.left_out",
            f"{done:,} captures are left out: the pipeline has processed them before.",
            count=done,
        )
    if finished and (job.collect_cursor or seen >= ANALYZE_FROM):
        execute("ANALYZE jobs_jobtask")
    return not finished


def _insert(job: Job, run: int) -> tuple[int, int | None, int]:
    """Insert ledger rows of one chunk.

    Returns how many captures were looked at, the last one's id, and how many were left out as done before.
    A limit counts captures that are to be done.
    """
    source, parameters = _source(job)
    condition, more = to_do(job)
    parameters |= more
    order = _SHUFFLED if job.shuffle else "id"
    if job.limit is not None:
        chunk = f"SELECT id, path FROM ({source}) c WHERE {condition} ORDER BY {order}, id LIMIT %(limit)s"  # noqa: S608
        condition = "true"
    else:
        execute(_IN_ORDER)
        chunk = f"SELECT id, path FROM ({source}) s WHERE id > %(after)s ORDER BY id LIMIT %(chunk)s"  # noqa: S608
    parameters |= {
        "job": job.pk,
        "run": run,
        "limit": job.limit,
        "after": job.collect_cursor,
        "chunk": settings.COLLECT_CHUNK,
        "failed": TaskState.FAILED,
        "pending": TaskState.PENDING,
        "no_url": ErrorCode.NO_URL.value,
        "no_url_text": "The capture has no file: upload it again or remove the capture.",
    }
    sql = f"""WITH looked_at AS MATERIALIZED ({chunk}),
        chunk AS MATERIALIZED (SELECT id, path FROM looked_at c WHERE {condition}),
        base AS (SELECT COALESCE(max(position), 0) AS position FROM jobs_jobtask WHERE job_id = %(job)s),
        inserted AS (
            INSERT INTO jobs_jobtask (job_id, image_id, position, run, status, attempt, released, reopened,
                worker, error_code, error_text, detections, classifications, finished_at)
            SELECT %(job)s, id, base.position + row_number() OVER (ORDER BY {order}, id), %(run)s,
                CASE WHEN path = '' THEN %(failed)s ELSE %(pending)s END, 0, 0, 0, '',
                CASE WHEN path = '' THEN %(no_url)s ELSE '' END,
                CASE WHEN path = '' THEN %(no_url_text)s ELSE '' END, 0, 0,
                CASE WHEN path = '' THEN clock_timestamp() END
            FROM chunk, base ORDER BY 3
            ON CONFLICT (job_id, image_id) DO NOTHING)
        SELECT count(*), max(id), count(*) - (SELECT count(*) FROM chunk) FROM looked_at"""  # noqa: S608
    seen, last_id, done = rows(sql, parameters)[0]
    return seen, last_id, done


def _source(job: Job) -> tuple[str, dict[str, Any]]:
    """The captures of a job as SQL with the columns id and path. Only captures of its own project count.

    The id is a column of an index that begins with what is asked for, so that a chunk can be read in order.
    """
    captures = "SELECT c.id, c.path FROM main_sourceimage c"
    own = "c.project_id = %(project)s"
    parameters: dict[str, Any] = {"project": job.project_id}
    if job.source_image_single_id is not None:
        return f"{captures} WHERE {own} AND c.id = %(capture)s", parameters | {
            "capture": job.source_image_single_id
        }
    capture_set = job.source_image_collection
    if capture_set is not None:
        if capture_set.holds_whole_project:
            return f"{captures} WHERE {own}", parameters
        # OFFSET keeps it a subquery: each member looks up its capture, no plan joins the two as a whole.
        capture = f"SELECT c.path FROM main_sourceimage c WHERE c.id = m.sourceimage_id AND {own} OFFSET 0"  # noqa: S608
        members = f"main_sourceimagecollection_images m CROSS JOIN LATERAL ({capture}) c"
        wanted = "m.sourceimagecollection_id = %(capture_set)s AND m.sourceimage_id > %(after)s"
        parameters["capture_set"] = capture_set.pk
        return f"SELECT m.sourceimage_id AS id, c.path FROM {members} WHERE {wanted}", parameters  # noqa: S608
    if job.deployment_id is not None:
        return f"{captures} WHERE {own} AND c.deployment_id = %(deployment)s", parameters | {
            "deployment": job.deployment_id
        }
    raise InvalidInput("This job names no captures any more: its capture set or capture was deleted.")

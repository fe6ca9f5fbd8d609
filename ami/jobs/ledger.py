"""Every write to the ledger (`JobTask`), one function each. Nothing else in AMI changes these rows.

Rules that hold for all of them (docs/reference/lifecycle.md):
- functions that change several rows are called inside a transaction that locked them with `lock` first, in id
  order, or lock them in the same statement; the job's row is always locked before ledger rows;
- rows are opened (inserted, reopened) only while the job's row is held;
- leases are judged by the database's clock, never by ours.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial

from django.db import transaction

from ami.base.database import execute, rows
from ami.base.logs import clean_text
from ami.base.metrics.counted import FAILED, SAVED
from ami.jobs.progress import Counts
from ami.jobs.states import OPEN, ErrorCode, TaskState

ERROR_TEXT_MAX = 2_000


@dataclass(frozen=True, slots=True)
class LockedTask:
    """A ledger row as it was when its lock was granted. Times left are in seconds, 0 when over or unset."""

    id: int
    job_id: int
    image_id: int
    run: int
    status: int
    attempt: int
    released: int
    lease_left: float
    wait_left: float
    leased: bool
    """Whether a lease was handed out and neither given back nor answered, be it over or not."""
    worker: str
    instance_id: int | None
    accepted_in: int | None
    lease_over: float
    """Seconds since its last lease ran out; 0 without one, or while it holds."""

    @property
    def used_attempts(self) -> int:
        """Leases that counted: those handed out less those given back unused."""
        return self.attempt - self.released

    @property
    def lease_ran_out(self) -> bool:
        """Whether a lease was handed out and ended in silence."""
        return self.leased and self.lease_left == 0

    @property
    def is_final(self) -> bool:
        """Whether the image has its outcome."""
        return self.status not in OPEN


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a ledger row fails, or why an attempt ended badly."""

    task: LockedTask
    code: ErrorCode
    text: str
    worker: str = ""
    instance_id: int | None = None


_LOCKED_COLUMNS = """t.id, t.job_id, t.image_id, t.run, t.status, t.attempt, t.released,
    GREATEST(0, COALESCE(EXTRACT(EPOCH FROM t.leased_until - clock_timestamp()), 0))::float8,
    GREATEST(0, COALESCE(EXTRACT(EPOCH FROM t.not_before - clock_timestamp()), 0))::float8,
    t.leased_until IS NOT NULL, t.worker, t.instance_id, t.accepted_in,
    GREATEST(0, COALESCE(EXTRACT(EPOCH FROM clock_timestamp() - t.leased_until), 0))::float8"""


def keep_job(job_id: int) -> bool:
    """Keep a job's row while this transaction lasts; False if it is gone. Comes before every ledger row."""
    return bool(rows("SELECT 1 FROM jobs_job WHERE id = %s FOR KEY SHARE", [job_id]))


def lock(job_id: int, image_ids: Sequence[int]) -> dict[int, LockedTask]:
    """Lock one job's rows for these images, in id order; missing ones are absent. Keyed by image id."""
    found = rows(
        f"""SELECT {_LOCKED_COLUMNS} FROM jobs_jobtask t
        WHERE t.job_id = %s AND t.image_id = ANY(%s) ORDER BY t.id FOR NO KEY UPDATE""",  # noqa: S608
        [job_id, list(image_ids)],
    )
    return {row[2]: LockedTask(*row) for row in found}


def lock_jobs(job_ids: Sequence[int]) -> None:
    """Lock every row of these jobs, in id order, whatever their state. Comes after the jobs' own rows."""
    execute(
        """SELECT count(*) FROM (SELECT id FROM jobs_jobtask WHERE job_id = ANY(%s)
        ORDER BY id FOR NO KEY UPDATE) AS held""",
        [list(job_ids)],
    )


def lock_many(keys: Sequence[tuple[int, int]]) -> dict[tuple[int, int], LockedTask]:
    """Lock the rows of (job id, image id) pairs over several jobs, in id order, whatever their state."""
    found = rows(
        f"""SELECT {_LOCKED_COLUMNS} FROM unnest(%s::bigint[], %s::bigint[]) AS f(job_id, image_id)
        JOIN jobs_jobtask t ON t.job_id = f.job_id AND t.image_id = f.image_id
        ORDER BY t.id FOR NO KEY UPDATE OF t""",  # noqa: S608
        [[key[0] for key in keys], [key[1] for key in keys]],
    )
    return {(row[1], row[2]): LockedTask(*row) for row in found}


def lease(
    task_ids: Sequence[int], *, worker: str, instance_id: int | None = None, seconds: float
) -> dict[int, int]:
    """Hand locked rows to a worker for `seconds`. Returns the attempt number of each by row id."""
    if not task_ids:
        return {}
    found = rows(
        """UPDATE jobs_jobtask SET attempt = attempt + 1, worker = %s, instance_id = %s, not_before = NULL,
        leased_until = clock_timestamp() + make_interval(secs => %s)
        WHERE id = ANY(%s) RETURNING id, attempt""",
        [worker, instance_id, seconds, list(task_ids)],
    )
    return {row[0]: row[1] for row in found}


def accept(
    task_ids: Sequence[int],
    inbox_ids: Sequence[int],
    *,
    worker: str,
    instance_id: int | None = None,
    ms: Sequence[int | None],
) -> None:
    """pending → received for locked rows; `inbox_ids[i]` holds the result of `task_ids[i]`."""
    if not task_ids:
        return
    execute(
        """UPDATE jobs_jobtask t SET status = %s, accepted_in = u.inbox_id, worker = %s, instance_id = %s,
        leased_until = NULL, not_before = NULL, processing_ms = u.ms
        FROM unnest(%s::bigint[], %s::bigint[], %s::integer[]) AS u(id, inbox_id, ms) WHERE t.id = u.id""",
        [TaskState.RECEIVED, worker, instance_id, list(task_ids), list(inbox_ids), list(ms)],
    )


def extend(task_ids: Sequence[int], *, seconds: float) -> None:
    """Hold locked, leased rows for `seconds` from now."""
    execute(
        """UPDATE jobs_jobtask SET leased_until = clock_timestamp() + make_interval(secs => %s)
        WHERE id = ANY(%s)""",
        [seconds, list(task_ids)],
    )


def release(task_ids: Sequence[int]) -> None:
    """Take locked, leased rows back unused: their attempt does not count."""
    execute(
        "UPDATE jobs_jobtask SET leased_until = NULL, released = released + 1 WHERE id = ANY(%s)",
        [list(task_ids)],
    )


def give_back(retries: Sequence[tuple[int, float]]) -> None:
    """End the lease of locked pending rows: (row id, seconds until it may be handed out again)."""
    if not retries:
        return
    execute(
        """UPDATE jobs_jobtask t SET leased_until = NULL,
        not_before = clock_timestamp() + make_interval(secs => u.wait)
        FROM unnest(%s::bigint[], %s::float8[]) AS u(id, wait) WHERE t.id = u.id""",
        [[task_id for task_id, _ in retries], [wait for _, wait in retries]],
    )


def fail(failures: Sequence[Failure]) -> None:
    """Open → failed for locked rows, with the reason; also notes the attempt."""
    if not failures:
        return
    execute(
        """UPDATE jobs_jobtask t SET status = %s, error_code = u.code, error_text = u.text,
        worker = CASE WHEN u.worker = '' THEN t.worker ELSE u.worker END,
        instance_id = CASE WHEN u.worker = '' THEN t.instance_id ELSE u.instance_id END,
        leased_until = NULL, not_before = NULL, accepted_in = NULL, finished_at = clock_timestamp()
        FROM unnest(%s::bigint[], %s::text[], %s::text[], %s::text[], %s::bigint[])
            AS u(id, code, text, worker, instance_id)
        WHERE t.id = u.id""",
        [
            TaskState.FAILED,
            [failure.task.id for failure in failures],
            [failure.code.value for failure in failures],
            [clean_text(failure.text, ERROR_TEXT_MAX) for failure in failures],
            [failure.worker for failure in failures],
            [failure.instance_id for failure in failures],
        ],
    )
    note_attempts(failures)
    _count_failed(Counter(failure.code.value for failure in failures))


def _count_failed(codes: Counter[str]) -> None:
    """Only what was committed has failed."""
    for code, images in codes.items():
        transaction.on_commit(partial(FAILED.inc, code, amount=images))


def note_attempts(failures: Iterable[Failure]) -> None:
    """Write down attempts that ended badly. Safe to run twice: an attempt is noted once."""
    noted = [failure for failure in failures if failure.task.attempt]
    if not noted:
        return
    execute(
        """INSERT INTO jobs_attempt
        (job_id, image_id, run, attempt, worker, instance_id, error_code, error_text, created_at)
        SELECT u.*, clock_timestamp() FROM unnest(%s::bigint[], %s::bigint[], %s::integer[], %s::integer[],
            %s::text[], %s::bigint[], %s::text[], %s::text[]) AS u
        ON CONFLICT (job_id, image_id, run, attempt) DO NOTHING""",
        [
            [failure.task.job_id for failure in noted],
            [failure.task.image_id for failure in noted],
            [failure.task.run for failure in noted],
            [failure.task.attempt for failure in noted],
            [failure.worker or failure.task.worker for failure in noted],
            [failure.instance_id if failure.worker else failure.task.instance_id for failure in noted],
            [failure.code.value for failure in noted],
            [clean_text(failure.text, ERROR_TEXT_MAX) for failure in noted],
        ],
    )


def mark_processed(
    task_ids: Sequence[int], detections: Sequence[int], classifications: Sequence[int]
) -> None:
    """received → processed for locked rows, with what was saved for each."""
    if not task_ids:
        return
    execute(
        """UPDATE jobs_jobtask t SET status = %s, detections = u.detections,
        classifications = u.classifications, error_code = '', error_text = '',
        finished_at = clock_timestamp()
        FROM unnest(%s::bigint[], %s::integer[], %s::integer[]) AS u(id, detections, classifications)
        WHERE t.id = u.id""",
        [TaskState.PROCESSED, list(task_ids), list(detections), list(classifications)],
    )
    transaction.on_commit(partial(SAVED.inc, amount=len(task_ids)))


def cancel_pending(job_id: int) -> int:
    """pending → cancelled for a whole job. Call while the job's row is held and not final any more."""
    return execute(
        """WITH locked AS (SELECT id FROM jobs_jobtask WHERE job_id = %s AND status = %s
            ORDER BY id FOR NO KEY UPDATE)
        UPDATE jobs_jobtask t SET status = %s, leased_until = NULL, not_before = NULL,
            finished_at = clock_timestamp() FROM locked WHERE t.id = locked.id AND t.status = %s""",
        [job_id, TaskState.PENDING, TaskState.CANCELLED, TaskState.PENDING],
    )


def reopen(job_id: int, run: int, states: Sequence[TaskState], image_ids: Sequence[int] | None = None) -> int:
    """Put rows of older runs in these states back to pending under `run`, at the end of the order.

    `image_ids`: only the rows of these images; None: of all. Returns how many there were. Call while the
    job's row is held. Safe to run twice: rows of this run are left alone.
    """
    chosen = "" if image_ids is None else "AND image_id = ANY(%(images)s)"
    return execute(
        f"""WITH locked AS (SELECT id FROM jobs_jobtask WHERE job_id = %(job)s AND run < %(run)s
            AND status = ANY(%(states)s) {chosen} ORDER BY id FOR NO KEY UPDATE),
        numbered AS (SELECT id, row_number() OVER (ORDER BY id)
            + (SELECT COALESCE(max(position), 0) FROM jobs_jobtask WHERE job_id = %(job)s) AS position
            FROM locked)
        UPDATE jobs_jobtask t SET status = %(pending)s, run = %(run)s, reopened = reopened + 1, attempt = 0,
            released = 0, position = n.position, leased_until = NULL, not_before = NULL, accepted_in = NULL,
            worker = '', instance_id = NULL, error_code = '', error_text = '', detections = 0,
            classifications = 0, processing_ms = NULL, finished_at = NULL
        FROM numbered n WHERE t.id = n.id""",  # noqa: S608 - made of constants
        {
            "job": job_id,
            "run": run,
            "images": list(image_ids or ()),
            "states": [int(state) for state in states],
            "pending": TaskState.PENDING,
        },
    )


def fail_deleted_captures(image_ids: Sequence[int], text: str) -> list[int]:
    """Open → failed `capture_deleted` in every running job, for captures that are about to be deleted.

    Returns the ids of the jobs concerned. Call once for a whole deletion, inside its transaction: the rows of
    all captures are locked in id order here, and a second call could meet somebody who goes the other way.
    """
    failed = rows(
        """WITH locked AS (SELECT t.id FROM jobs_job j JOIN jobs_jobtask t ON t.job_id = j.id
            WHERE j.status IN ('PENDING', 'STARTED', 'RETRY') AND t.image_id = ANY(%s)
                AND t.status IN (0, 1)
            ORDER BY t.id FOR NO KEY UPDATE OF t)
        UPDATE jobs_jobtask t SET status = %s, error_code = %s, error_text = %s, leased_until = NULL,
            not_before = NULL, accepted_in = NULL, finished_at = clock_timestamp()
        FROM locked WHERE t.id = locked.id AND t.status IN (0, 1) RETURNING t.job_id""",
        [list(image_ids), TaskState.FAILED, ErrorCode.CAPTURE_DELETED.value, text],
    )
    if failed:
        _count_failed(Counter({ErrorCode.CAPTURE_DELETED.value: len(failed)}))
    return sorted({row[0] for row in failed})


def failed_images(job_id: int) -> list[int]:
    """The images of a job that failed, by id of their rows."""
    found = rows(
        "SELECT image_id FROM jobs_jobtask WHERE job_id = %s AND status = %s ORDER BY id",
        [job_id, TaskState.FAILED],
    )
    return [row[0] for row in found]


def count(job_id: int) -> Counts:
    """The ledger of a job, counted now, in one statement."""
    row = rows(
        """SELECT count(*), count(*) FILTER (WHERE status = 0), count(*) FILTER (WHERE status = 1),
        count(*) FILTER (WHERE status = 2), count(*) FILTER (WHERE status = 3),
        count(*) FILTER (WHERE status = 4), COALESCE(sum(detections) FILTER (WHERE status = 2), 0),
        COALESCE(sum(classifications) FILTER (WHERE status = 2), 0)
        FROM jobs_jobtask WHERE job_id = %s""",
        [job_id],
    )[0]
    return Counts(*(int(value) for value in row))


@dataclass(frozen=True, slots=True)
class Share:
    """What one worker did in a job, as the ledger says now. Unit: images, but `processing_ms`."""

    instance_id: int
    processed: int
    failed: int
    processing_ms: int


def count_by_worker(job_id: int) -> tuple[Counts, list[Share]]:
    """The ledger of a job, counted now, in one statement: as a whole, and for each worker that is in it."""
    found = rows(
        """SELECT instance_id, count(*), count(*) FILTER (WHERE status = 0),
        count(*) FILTER (WHERE status = 1), count(*) FILTER (WHERE status = 2),
        count(*) FILTER (WHERE status = 3), count(*) FILTER (WHERE status = 4),
        COALESCE(sum(detections) FILTER (WHERE status = 2), 0),
        COALESCE(sum(classifications) FILTER (WHERE status = 2), 0),
        COALESCE(sum(processing_ms) FILTER (WHERE status = 2), 0)
        FROM jobs_jobtask WHERE job_id = %s GROUP BY instance_id""",
        [job_id],
    )
    totals = [sum(int(row[column]) for row in found) for column in range(1, 9)]
    shares = [Share(row[0], row[4], row[5], int(row[9])) for row in found if row[0] is not None]
    return Counts(*totals), shares

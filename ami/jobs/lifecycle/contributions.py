"""contributions: who did how much of a job, written down whenever its progress is projected."""

from __future__ import annotations

from collections.abc import Sequence

from ami.base.database import execute
from ami.jobs.ledger import Share


def write_contributions(job_id: int, shares: Sequence[Share]) -> None:
    """Make the rows of a job say what `shares` say, and nothing else; unchanged ones are not touched.

    Call while the job's stages are locked, so that no older view overwrites a newer one. Safe to run twice.
    """
    workers = [share.instance_id for share in shares]
    execute(
        "DELETE FROM jobs_jobcontribution WHERE job_id = %s AND NOT instance_id = ANY(%s)", [job_id, workers]
    )
    if not shares:
        return
    execute(
        """INSERT INTO jobs_jobcontribution AS c (job_id, instance_id, processed, failed, processing_ms)
        SELECT %s, u.* FROM unnest(%s::bigint[], %s::integer[], %s::integer[], %s::bigint[]) AS u
        ON CONFLICT (job_id, instance_id) DO UPDATE SET processed = EXCLUDED.processed,
            failed = EXCLUDED.failed, processing_ms = EXCLUDED.processing_ms
        WHERE (c.processed, c.failed, c.processing_ms)
            IS DISTINCT FROM (EXCLUDED.processed, EXCLUDED.failed, EXCLUDED.processing_ms)""",
        [
            job_id,
            workers,
            [share.processed for share in shares],
            [share.failed for share in shares],
            [share.processing_ms for share in shares],
        ],
    )

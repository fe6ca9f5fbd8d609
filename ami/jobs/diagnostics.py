"""The only writer of what health checks say about a job: `diagnostics`, and what the job waits for."""

from __future__ import annotations

import json

from ami.base.database import execute
from ami.base.logs import clean_text

MOST = 20
"""Sentences that a job keeps; further ones are in its log."""

LONGEST = 500


def note(job_id: int, sentence: str) -> bool:
    """Add a sentence, unless the job has it already or has `MOST`. Whether it was added."""
    entry = json.dumps([clean_text(sentence, LONGEST)])
    return bool(
        execute(
            """UPDATE jobs_job SET diagnostics = diagnostics || %(entry)s::jsonb
            WHERE id = %(job)s AND NOT diagnostics @> %(entry)s::jsonb
                AND jsonb_array_length(diagnostics) < %(most)s""",
            {"job": job_id, "entry": entry, "most": MOST},
        )
    )


def clear(job_id: int) -> None:
    """Forget the sentences: a new run begins, and the log still has them."""
    execute("UPDATE jobs_job SET diagnostics = '[]', waiting_for = '' WHERE id = %s", [job_id])


def waits_for(job_id: int, sentence: str) -> bool:
    """Say what the job waits for, nothing if it does not; whether that is news."""
    return bool(
        execute(
            "UPDATE jobs_job SET waiting_for = %(text)s WHERE id = %(job)s AND waiting_for <> %(text)s",
            {"job": job_id, "text": clean_text(sentence, LONGEST)},
        )
    )

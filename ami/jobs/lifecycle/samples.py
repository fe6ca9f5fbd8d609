"""samples: keep how far a job is every few seconds of its run, so that people see its rate and its course.

A sample is taken where the ledger has just been counted, and only while something changes: a job that waits
for a week adds nothing.
"""

from __future__ import annotations

from ami.base.database import execute
from ami.jobs.progress import Counts

GAP_SECONDS = 15.0
"""At most one sample of a job in this time, apart from the one of its end."""

_NOTE = """
INSERT INTO jobs_jobsample (job_id, at, processed, failed, "left")
SELECT %(job)s, clock_timestamp(), %(processed)s, %(failed)s, %(left)s
WHERE NOT EXISTS (
    SELECT 1 FROM (SELECT * FROM jobs_jobsample WHERE job_id = %(job)s ORDER BY at DESC LIMIT 1) last
    WHERE (last.processed, last.failed, last."left") = (%(processed)s, %(failed)s, %(left)s)
        OR (last.at > clock_timestamp() - make_interval(secs => %(gap)s) AND %(left)s > 0)
)
"""


def note_sample(job_id: int, counts: Counts) -> None:
    """Keep the counts if it is time. Call while the job's stages are locked. Safe to run twice."""
    execute(
        _NOTE,
        {
            "job": job_id,
            "processed": counts.processed,
            "failed": counts.failed,
            "left": counts.open,
            "gap": GAP_SECONDS,
        },
    )

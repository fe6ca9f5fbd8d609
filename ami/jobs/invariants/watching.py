"""I5, progress: what a job has done only grows, and what ended stays ended, until a new run begins."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ami.base.database import rows
from ami.jobs.invariants.violation import Violation
from ami.jobs.states import FINAL


@dataclass(frozen=True, slots=True)
class _Seen:
    run: int
    status: str
    total: int
    processed: int
    settled: int
    shown: float


_LOOK = """SELECT j.id, j.run, j.status, count(t.id), count(t.id) FILTER (WHERE t.status = 2),
    count(t.id) FILTER (WHERE t.status IN (2, 3, 4)),
    (SELECT COALESCE(sum(s.progress), 0) FROM jobs_jobstage s WHERE s.job_id = j.id)
FROM jobs_job j LEFT JOIN jobs_jobtask t ON t.job_id = j.id
WHERE %(jobs)s::bigint[] IS NULL OR j.id = ANY(%(jobs)s) GROUP BY j.id"""


class Watch:
    """Remembers the last look at some jobs. Not for several threads."""

    def __init__(self, job_ids: Sequence[int] | None = None) -> None:
        """`job_ids`: the jobs to watch; None: all."""
        self._jobs = None if job_ids is None else list(job_ids)
        self._last: dict[int, _Seen] = {}

    def look(self) -> list[Violation]:
        """What went backwards since the last look. The first look finds nothing."""
        now = {row[0]: _Seen(*row[1:]) for row in rows(_LOOK, {"jobs": self._jobs})}
        found = [
            Violation("I5", job_id, text)
            for job_id, seen in now.items()
            if job_id in self._last
            for text in _regressions(self._last[job_id], seen)
        ]
        self._last = now
        return found


def _regressions(before: _Seen, now: _Seen) -> Iterator[str]:
    if now.run < before.run:
        yield f"the run fell from {before.run} to {now.run}"
    if now.total < before.total:
        yield f"the ledger shrank from {before.total} to {now.total} rows"
    if now.run != before.run:
        return
    if before.status in FINAL and now.status != before.status:
        yield f"the state {before.status} was left for {now.status} without a new run"
    if now.processed < before.processed:
        yield f"processed images fell from {before.processed} to {now.processed}"
    if now.settled < before.settled:
        yield f"images with an outcome fell from {before.settled} to {now.settled}"
    if now.shown < before.shown - 1e-9:
        yield f"the progress that is shown fell from {before.shown:.3f} to {now.shown:.3f}"

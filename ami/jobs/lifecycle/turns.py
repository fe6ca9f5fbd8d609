"""turns: whose tasks come next, when a worker could take those of several jobs.

Jobs take turns: the one that waited longest since its last turn comes first, its wait weighted by its
priority; one that had no turn yet comes before all. In a round every job with work gives an equal share, so
that a small job does not wait behind a large one.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from django.conf import settings

from ami.base.database import execute, rows
from ami.jobs.lifecycle.openings import with_free_task

MOST_JOBS = 1_000
"""Running jobs that are looked at in one turn; the others have theirs later."""

_LOOK_AT = 16


@dataclass(frozen=True, slots=True)
class Reach:
    """What a worker may serve: in these projects, jobs of these pipelines (None: of any)."""

    projects: Sequence[int]
    pipeline_ids: Sequence[int] | None = None

    def includes(self, project_id: int, pipeline_id: int) -> bool:
        """Whether jobs of this pipeline in this project are among it."""
        return project_id in self.projects and (self.pipeline_ids is None or pipeline_id in self.pipeline_ids)


@dataclass(frozen=True, slots=True)
class Candidate:
    """A job that hands out tasks, as far as a turn needs it."""

    job_id: int
    epoch: int
    project_id: int
    pipeline_id: int


_WAITED = "EXTRACT(EPOCH FROM clock_timestamp() - j.last_served_at) * j.priority"
_ORDER = f"(j.last_served_at IS NULL) DESC, COALESCE({_WAITED}, j.priority) DESC, j.id"
_CANDIDATES = f"""
SELECT j.id, j.queue_epoch, j.project_id, j.pipeline_id FROM jobs_job j
WHERE j.status IN ('STARTED', 'RETRY') AND j.dispatch_mode = 'async_api' AND j.pipeline_id IS NOT NULL
    AND j.project_id = ANY(%(projects)s)
    AND (%(pipelines)s::bigint[] IS NULL OR j.pipeline_id = ANY(%(pipelines)s))
ORDER BY {_ORDER} LIMIT %(most)s
"""  # noqa: S608 - made of constants
_CLAIM = f"""
UPDATE jobs_job SET last_served_at = clock_timestamp() WHERE id = (
    SELECT j.id FROM jobs_job j WHERE j.id = ANY(%s) AND j.status IN ('STARTED', 'RETRY')
    ORDER BY {_ORDER} FOR NO KEY UPDATE SKIP LOCKED LIMIT 1) RETURNING id
"""  # noqa: S608 - made of constants
# A microsecond apart, so that those of one round keep their order.
_SERVED = """
WITH free AS (SELECT id FROM jobs_job WHERE id = ANY(%(jobs)s) ORDER BY id FOR NO KEY UPDATE SKIP LOCKED)
UPDATE jobs_job j SET last_served_at = statement_timestamp() + u.place * interval '1 microsecond'
FROM unnest(%(jobs)s::bigint[]) WITH ORDINALITY AS u(id, place) JOIN free USING (id) WHERE j.id = u.id
"""


def candidates(reach: Reach) -> list[Candidate]:
    """The jobs within reach that hand out tasks, in the order of their turns; some may have none now."""
    pipelines = None if reach.pipeline_ids is None else list(reach.pipeline_ids)
    found = rows(_CANDIDATES, {"projects": list(reach.projects), "pipelines": pipelines, "most": MOST_JOBS})
    return [Candidate(*row) for row in found]


def with_work(jobs: Sequence[Candidate], enough: int) -> list[Candidate]:
    """Of these jobs, in their order, those that have something to hand out; at most `enough`."""
    found: list[Candidate] = []
    for part in _parts(jobs, max(enough, _LOOK_AT)):
        free = with_free_task([job.job_id for job in part])
        found += [job for job in part if job.job_id in free]
        if len(found) >= enough:
            break
    return found[:enough]


def claim(job_ids: Collection[int]) -> int | None:
    """Take the next turn among these jobs: atomic, so that concurrent claims get different jobs.

    None only when there are none: if others hold all of them at this very moment, the first one is shared.
    """
    ordered = list(job_ids)
    if not ordered:
        return None
    found = rows(_CLAIM, [ordered])
    return int(found[0][0]) if found else ordered[0]


def note_served(job_ids: Sequence[int]) -> None:
    """These jobs had their turn, in this order. Skips rows that somebody holds: their next turn is sooner."""
    if job_ids:
        execute(_SERVED, {"jobs": list(job_ids)})


def takes_part(wanted: int) -> int:
    """How many jobs share a call for `wanted` tasks: no more than can give a portion each."""
    return -(-wanted // settings.TURN_PORTION)


def shares(jobs: int, wanted: int) -> int:
    """What each of `jobs` may give when `wanted` tasks are wanted: an equal share, rounded up."""
    return -(-wanted // jobs)


def _parts(jobs: Sequence[Candidate], size: int) -> Iterator[Sequence[Candidate]]:
    for start in range(0, len(jobs), size):
        yield jobs[start : start + size]

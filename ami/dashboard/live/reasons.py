"""Why images of a job failed: grouped by code, with the most frequent texts and a few captures to look at."""

from __future__ import annotations

from dataclasses import dataclass, field

from ami.base.database import rows
from ami.jobs.states import ErrorCode

MOST_READ = 20_000
"""Newest failed images that are grouped."""
MOST_TEXTS = 5
MOST_CAPTURES = 6

_GROUPS = """
SELECT error_code, error_text, count(*), (array_agg(image_id ORDER BY id))[1:%(captures)s]
FROM (
    SELECT id, error_code, left(error_text, 300) AS error_text, image_id FROM jobs_jobtask
    WHERE job_id = %(job)s AND failed_at IS NOT NULL ORDER BY failed_at DESC, id DESC LIMIT %(most)s
) newest
GROUP BY error_code, error_text ORDER BY count(*) DESC, min(id)
"""


@dataclass
class Text:
    """One sentence that workers, services or the platform gave, and how often."""

    words: str
    count: int
    captures: list[int]


@dataclass
class Reason:
    """One error code: what it means, and what was said."""

    code: str
    meaning: str
    count: int = 0
    texts: list[Text] = field(default_factory=list)
    more_texts: int = 0
    captures: list[int] = field(default_factory=list)


def reasons_of(job_id: int) -> list[Reason]:
    """The reasons, the most frequent first; one statement along the index of failed images."""
    wanted = {"job": job_id, "captures": MOST_CAPTURES, "most": MOST_READ}
    found: dict[str, Reason] = {}
    for code, words, count, captures in rows(_GROUPS, wanted):
        reason = found.setdefault(code, Reason(code, _meaning(code)))
        reason.count += count
        reason.captures = (reason.captures + captures)[:MOST_CAPTURES]
        if len(reason.texts) < MOST_TEXTS:
            reason.texts.append(Text(words, count, captures))
        else:
            reason.more_texts += 1
    return sorted(found.values(), key=lambda reason: -reason.count)


def _meaning(code: str) -> str:
    return str(ErrorCode(code).label) if code in ErrorCode else "Nobody knows why"

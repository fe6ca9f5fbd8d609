"""Why images of a job failed, in lines that people read: one per kind of failure."""

from __future__ import annotations

from ami.base.database import rows
from ami.jobs.logs import Line
from ami.jobs.states import ErrorCode, TaskState

MOST_LINES = 20
MOST_IDS = 10
LONGEST_TEXT = 500
"""Characters of an error's text, so that a line always has room for its ids."""

_KINDS = """
SELECT error_code, error_text, count(*), (array_agg(image_id ORDER BY position))[1:%(ids)s]
FROM jobs_jobtask WHERE job_id = %(job)s AND status = %(failed)s
GROUP BY error_code, error_text ORDER BY count(*) DESC, min(position) LIMIT %(most)s
"""


def failure_lines(job_id: int, failed: int) -> list[Line]:
    """A warning per kind of failure (code and text), the most frequent first; one statement.

    `failed`: how many images failed; for 0 the database is not asked. Of more than `MOST_LINES` kinds the
    last line gives the rest as a number.
    """
    if not failed:
        return []
    kinds = rows(_KINDS, {"job": job_id, "failed": TaskState.FAILED, "ids": MOST_IDS, "most": MOST_LINES + 1})
    shown = kinds if len(kinds) <= MOST_LINES else kinds[: MOST_LINES - 1]
    lines = [_line(*kind) for kind in shown]
    if len(shown) < len(kinds):
        rest = failed - sum(kind[2] for kind in shown)
        lines.append(_warning(f"{_images(rest)} failed for other reasons.", count=rest))
    return lines


def _line(code: str, text: str, count: int, image_ids: list[int]) -> Line:
    reason = " ".join(text.split())[:LONGEST_TEXT] or str(ErrorCode(code).label)
    named = ", ".join(map(str, image_ids))
    more = f" and {count - len(image_ids):,} more" if count > len(image_ids) else ""
    noun = "image" if count == 1 else "images"
    return _warning(
        f"{_images(count)} failed: {reason} ({code}); {noun} {named}{more}", code=code, count=count
    )


def _warning(message: str, **context: object) -> Line:
    return Line("job.images_failed", message, "WARNING", context)


def _images(count: int) -> str:
    return f"{count:,} image" if count == 1 else f"{count:,} images"

"""lost images: an image whose last lease ran out with no attempts left is failed, with attempts and workers.

Reserve does the same when the queue hands out the message once more; this check does it when nobody asks.
The evidence is the ledger's alone: a lease that ran out, and no attempt left. It is looked at again under the
lock of the row, because a late result may win until then.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice

from django.conf import settings
from django.db import transaction

from ami.base.database import rows
from ami.base.failpoints import hit
from ami.jobs import diagnostics, ledger, logs
from ami.jobs.health.report import Report
from ami.jobs.ledger import Failure, LockedTask
from ami.jobs.lifecycle.advance import request_refresh
from ami.jobs.states import ErrorCode, TaskState

AT_ONCE = 1_000
"""Rows that one transaction locks."""

IDS_PREVIEWED = 10
IDS_PER_LINE = 200

_CANDIDATES = """SELECT t.job_id, array_agg(t.image_id ORDER BY t.image_id)
FROM jobs_jobtask t JOIN jobs_job j ON j.id = t.job_id
WHERE j.status IN ('STARTED', 'RETRY') AND j.dispatch_mode = 'async_api' AND t.status = %s
    AND t.leased_until < clock_timestamp() AND t.attempt - t.released >= %s
GROUP BY t.job_id ORDER BY t.job_id"""


def check_lost_images(*, dry_run: bool = False) -> Report:
    """Fail what is lost in every running job. Safe to run twice: a failed row is no candidate any more."""
    report = Report()
    for job_id, candidates in rows(_CANDIDATES, [TaskState.PENDING, settings.NATS_MAX_DELIVER]):
        report.checked += len(candidates)
        if dry_run:
            report.fixed += len(candidates)
            continue
        failed = [image for part in _parts(candidates) for image in _fail(job_id, part)]
        report.fixed += len(failed)
        if failed:
            _tell(job_id, failed)
            request_refresh(job_id)
    return report


def _parts(images: Sequence[int]) -> Iterator[list[int]]:
    remaining = iter(images)
    while part := list(islice(remaining, AT_ONCE)):
        yield part


def _fail(job_id: int, image_ids: Sequence[int]) -> list[int]:
    """Fail those of the images that are lost beyond doubt; their ids."""
    hit("lost_images.before_lock")
    with transaction.atomic():
        if not ledger.keep_job(job_id):
            return []
        lost = [task for task in ledger.lock(job_id, image_ids).values() if _is_lost(task)]
        ledger.fail([_failure(task) for task in lost])
    return [task.image_id for task in lost]


def _is_lost(task: LockedTask) -> bool:
    return (
        task.status == TaskState.PENDING
        and task.lease_ran_out
        and task.used_attempts >= settings.NATS_MAX_DELIVER
    )


def _failure(task: LockedTask) -> Failure:
    return Failure(
        task,
        ErrorCode.DELIVERY_EXHAUSTED,
        f"All {task.used_attempts} attempts were used without an accepted result; the last worker, "
        f"{task.worker or 'unknown'}, did not answer within {settings.NATS_TASK_TTR:g} s.",
    )


def _tell(job_id: int, image_ids: Sequence[int]) -> None:
    """A preview for whoever looks at the job, and the whole list in its log."""
    more = len(image_ids) - IDS_PREVIEWED
    preview = ", ".join(map(str, image_ids[:IDS_PREVIEWED])) + (f" and {more:,} more" if more > 0 else "")
    noun = "image was" if len(image_ids) == 1 else "images were"
    said = f"{len(image_ids):,} {noun} handed out {settings.NATS_MAX_DELIVER} times without an answer"
    diagnostics.note(job_id, f"{said} and failed: {preview}")
    remaining = iter(image_ids)
    lines = [logs.Line("job.images_lost", f"{said} and failed.", "WARNING", {"count": len(image_ids)})]
    while part := list(islice(remaining, IDS_PER_LINE)):
        named = ", ".join(map(str, part))
        lines.append(logs.Line("job.images_lost", f"Lost images: {named}", "WARNING", {"image_ids": part}))
    logs.write(job_id, lines)

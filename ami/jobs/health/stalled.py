"""stalled jobs: what ought to have ended is ended, and what cannot go on says why.

Nothing is ended for being quiet: a job may wait for workers as long as it has to.
"""

from __future__ import annotations

from django.db import transaction

from ami.base.database import rows
from ami.jobs import diagnostics, ledger, logs
from ami.jobs.health.report import Report
from ami.jobs.lifecycle.advance import refresh_job
from ami.jobs.lifecycle.cancel import cancel_job
from ami.jobs.models import Job
from ami.jobs.states import FINAL, RUNNING, DispatchMode
from ami.jobs.waiting import why_it_waits

LOOK_BACK_SECONDS = 3_600.0
"""For how long after its end a job is looked at: several runs of this check. `check_invariants` sees all."""

_PENDING_IN_ENDED = """SELECT j.id FROM jobs_job j WHERE j.status IN ('SUCCESS', 'FAILURE', 'REVOKED')
    AND j.finished_at > clock_timestamp() - make_interval(secs => %s)
    AND EXISTS (SELECT 1 FROM jobs_jobtask t WHERE t.job_id = j.id AND t.status = 0) ORDER BY j.id"""


def check_stalled(*, dry_run: bool = False) -> Report:
    """Look at every running job, and at jobs that ended lately. Safe to run twice."""
    report = Report()
    for job in Job.objects.filter(status__in=RUNNING).select_related("pipeline", "project").order_by("pk"):
        report.checked += 1
        report.fixed += _look_at(job, dry_run)
    for (job_id,) in rows(_PENDING_IN_ENDED, [LOOK_BACK_SECONDS]):
        report.checked += 1
        report.fixed += dry_run or _cancel_pending(job_id)
    return report


def _look_at(job: Job, dry_run: bool) -> bool:
    """End the job if there is nothing left to do; else write down what it waits for. Whether it was ended."""
    if job.dispatch_mode == DispatchMode.INTERNAL:
        return False  # its slices end it, one way or the other
    if job.pipeline_id is None:
        return dry_run or cancel_job(job.pk, by="the health check", why="its pipeline was deleted")
    if job.collected_at is not None and ledger.count(job.pk).open == 0:
        if not dry_run:
            refresh_job(job.pk)
        return dry_run or Job.objects.filter(pk=job.pk, status__in=FINAL).exists()
    if not dry_run:
        sentence = why_it_waits(job)
        if diagnostics.waits_for(job.pk, sentence) and sentence:
            logs.write_one(job.pk, "job.waits", f"The job is waiting: {sentence}")
    return False


def _cancel_pending(job_id: int) -> bool:
    """Cancel what an ended job has pending. This must never happen, so it is reported as an error."""
    with transaction.atomic():
        job = Job.objects.select_for_update(of=("self",), no_key=True).filter(pk=job_id).first()
        cancelled = ledger.cancel_pending(job_id) if job is not None and job.is_final else 0
    if not cancelled:
        return False
    sentence = f"{cancelled:,} images were still pending after the job had ended, and are cancelled."
    logs.write_one(job_id, "job.pending_after_end", sentence, "ERROR", cancelled=cancelled)
    diagnostics.note(job_id, sentence)
    refresh_job(job_id)
    return True

"""The end of a run: everything comes to rest, then every promise is checked, and the work is counted."""

from __future__ import annotations

from collections import Counter

from ami.chaos.database import ask, value
from ami.chaos.oracle import wrong
from ami.chaos.outcome import Outcome
from ami.chaos.platform import NotInTime
from ami.chaos.run import Run
from ami.chaos.sampler import Sampler
from ami.chaos.tidiness import left_behind
from ami.chaos.work import answers_in
from ami.jobs.invariants import check

REST_SECONDS = 40.0
TIDY_SECONDS = 40.0


def judge(run: Run, sampler: Sampler, outcome: Outcome) -> None:
    """Fill the outcome of a run whose jobs have ended."""
    ids = [job.id for job in run.jobs]
    try:
        run.until(lambda: _rests(ids), "nothing waits to be saved or shown any more", REST_SECONDS)
        run.until(lambda: not left_behind(ids), "what the jobs left in NATS and Redis is gone", TIDY_SECONDS)
    except NotInTime as error:
        outcome.violations.append(f"I9 {error} {'; '.join(left_behind(ids))}")
    sampler.look()
    found = [str(violation) for violation in (*sampler.violations, *check(ids, at_rest=True))]
    for job in run.jobs:
        found += wrong(job, _accepted(run, job.night.image_ids))
    found += _lost_answers(run, ids)
    outcome.violations += list(dict.fromkeys([*found, *run.broken]))


def count_work(run: Run, outcome: Outcome) -> None:
    """How much was handed out, and done, more than once."""
    images = {image for job in run.jobs for image in job.night.image_ids}
    if not images:
        return
    again = value(
        """SELECT COALESCE(sum(GREATEST(attempt - released - 1, 0)), 0)
        FROM jobs_jobtask WHERE job_id = ANY(%s)""",
        [[job.id for job in run.jobs]],
    )
    outcome.redeliveries = float(again) / sum(len(job.night.image_ids) for job in run.jobs)
    begun = run.work.begun(images)
    for hand in run.hands:
        begun += hand.worked
    outcome.duplicated = 100 * (sum(begun.values()) - len(begun)) / len(images)


def _accepted(run: Run, images: tuple[int, ...]) -> set[int]:
    accepted = {image for hand in run.hands for image in hand.accepted}
    return accepted.intersection(images)


def _lost_answers(run: Run, job_ids: list[int]) -> list[str]:
    """I8 for real workers, whose logs tell how many results were answered `queued`."""
    logs = [log for name in run.worker_names if (log := run.platform.programs.log(name)).exists()]
    answers: Counter[str] = answers_in(logs, job_ids)
    queued = answers["queued"] + sum(hand.answers["queued"] for hand in run.hands)
    processed = value("SELECT count(*) FROM jobs_jobtask WHERE job_id = ANY(%s) AND status = 2", [job_ids])
    if queued > processed:
        return [f"I8 {queued} results were answered `queued`, and only {processed} are saved"]
    return []


def _rests(job_ids: list[int]) -> bool:
    open_work = ask(
        """SELECT 1 FROM jobs_inboxentry WHERE job_id = ANY(%(jobs)s)
        UNION ALL SELECT 1 FROM jobs_job WHERE id = ANY(%(jobs)s) AND refresh_due_at IS NOT NULL LIMIT 1""",
        {"jobs": job_ids},
    )
    return not open_work

"""How every life ends: the faults are over, everybody does their part, and all is done, exact and tidy."""

from __future__ import annotations

from ami.jobs.invariants import check, leftovers
from ami.jobs.models import InboxEntry, Job
from ami.jobs.states import FINAL, JobState, TaskState
from ami.jobs.tests.properties.answers import Form, Item
from ami.jobs.tests.properties.life import A_LONG_TIME, WORKERS, nothing_in
from ami.jobs.tests.properties.people import CAPTURES, PeopleDo

MOST_ROUNDS = 12
"""Rounds in which a life has to end; each is as long as the longest pause."""


class Ending(PeopleDo):
    """What is done when no rule is left to run."""

    def end(self) -> None:
        """Let it end, and look at what is left."""
        self.recover()
        rounds = 0
        while not self.is_over:
            rounds += 1
            assert rounds <= MOST_ROUNDS, f"not over after {MOST_ROUNDS} rounds: {self.oracle.view}"
            self.one_round()
        self.one_round()
        self._look_at_the_end()

    @property
    def is_over(self) -> bool:
        """Whether every job that was ever run has ended, and nothing waits to be saved or shown."""
        states = {job.status for job in self.oracle.view.jobs.values()}
        waiting = InboxEntry.objects.exists() or Job.objects.filter(refresh_due_at__isnull=False).exists()
        return states <= {*FINAL, JobState.CREATED} and not waiting

    def one_round(self) -> None:
        """Time passes, checks look, Celery works, workers work."""
        self.pass_time(A_LONG_TIME)
        self.check_health()
        self.work_off()
        for number in range(len(self.jobs)):
            worker = WORKERS[number]
            tasks = self.take(worker, CAPTURES, number)
            self.send(self.jobs[number], worker, [Item(task, Form.RESULT, mark=4) for task in tasks])
        self.work_off()
        self.look_around()

    def _look_at_the_end(self) -> None:
        view = self.oracle.view
        nothing_in(check(at_rest=True))
        ran = [job.id for job in view.jobs.values() if job.status != JobState.CREATED]
        for job_id in ran:
            nothing_in(self.oracle.wrong_figures(job_id))
            nothing_in(self.oracle.wrong_contributions(job_id))
        for job_id, image_id, run in self.oracle.accepted.keys() - self.oracle.processed:
            excused = image_id in self.oracle.deleted or (job_id, image_id, run) in self.oracle.spoiled
            row = view.rows.get((job_id, image_id))
            assert excused or row is None, f"accepted in run {run}, and never saved: {row}"
            assert row is None or row.run != run or row.status == TaskState.FAILED
        nothing_in(leftovers())

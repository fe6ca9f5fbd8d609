"""What people and Celery do: jobs are made, run, cancelled, repeated, deleted; work is done, or not."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import MultipleResults, initialize, multiple, precondition, rule

from ami.base.errors import InvalidInput
from ami.jobs.health.runner import run_all
from ami.jobs.lifecycle.advance import refresh_job
from ami.jobs.lifecycle.cancel import cancel_job
from ami.jobs.lifecycle.delete import delete_job
from ami.jobs.lifecycle.dispatch import dispatch_job
from ami.jobs.lifecycle.enqueue import run_job
from ami.jobs.lifecycle.requeue import requeue
from ami.jobs.lifecycle.reserve import ReservedTask
from ami.jobs.lifecycle.retry import retry_failed, retry_job
from ami.jobs.lifecycle.save import save_inbox_row
from ami.jobs.models import Job
from ami.jobs.states import FINAL, OPEN, RUNNING, JobState, TaskState
from ami.jobs.tests.properties.allowances import (
    REFRESHING,
    cancelling,
    checking,
    deleting,
    deleting_capture,
    dispatching,
    saving,
    starting,
)
from ami.jobs.tests.properties.answers import Form, Item
from ami.jobs.tests.properties.changes import Kind
from ami.jobs.tests.properties.life import A_LONG_TIME, ALICE, BOB, TASKS, Step, nothing_in
from ami.jobs.tests.properties.oracle import Allowed
from ami.jobs.tests.properties.stops import CANCEL, CHECKS, RETRY, WORK, Stop, stops
from ami.jobs.tests.properties.view import View
from ami.jobs.tests.properties.workers import WorkersDo
from ami.main.models import SourceImage

CAPTURES = 5
NUMBER = st.integers(0, 1)
MOST_PIECES = 60
"""Background work that asks for itself longer than this would never end."""

DO: dict[str, Callable[[int], object]] = {
    "dispatch": dispatch_job,
    "save": save_inbox_row,
    "refresh": refresh_job,
}


class Age(StrEnum):
    """What has happened to the first job when a life begins."""

    NEW = "somebody ran it"
    BEGUN = "two workers have tasks of it"
    LATE = "their leases ran out, and one has taken more"
    ACCEPTED = "results are accepted and not saved"
    ENDED = "it ended, with failures"
    CANCELLED = "it was cancelled"


class Verb(StrEnum):
    """What a person may do."""

    RUN = "runs a job"
    RETRY = "repeats a job"
    RETRY_FAILED = "repeats what failed"
    REQUEUE = "has some failed images done again"
    CANCEL = "cancels a job"
    DELETE = "deletes a job"
    DELETE_CAPTURE = "deletes a capture"


REQUEUED = {1, 2, 3}
"""Images of which somebody wants the failed ones done again."""


def run_if_it_has_captures(job: Job) -> None:
    """Run a job; one whose only capture was deleted before is refused."""
    try:
        run_job(job)
    except InvalidInput:
        assert job.status == JobState.CREATED
        assert job.source_image_collection_id is None


REPEATS: dict[Verb, Callable[[Job], object]] = {
    Verb.RUN: run_if_it_has_captures,
    Verb.RETRY: retry_job,
    Verb.RETRY_FAILED: retry_failed,
    Verb.REQUEUE: lambda job: requeue(job.pk, sorted(REQUEUED)),
}
ENDS = st.sampled_from([Verb.CANCEL, Verb.DELETE, Verb.DELETE_CAPTURE, Verb.RUN])


class PeopleDo(WorkersDo):
    """Rules of people and of background work."""

    @initialize(target=TASKS, age=st.sampled_from(Age), without_file=st.booleans(), shuffle=st.booleans())
    def begin(self, age: Age, without_file: bool, shuffle: bool) -> MultipleResults:
        """There are captures, and a job over them that has lived for a while."""
        self.tamper(lambda: self._make_captures(without_file))
        self.make_job(shuffle=shuffle)
        self.repeat(Verb.RUN, 0)
        if age is Age.NEW:
            return multiple()
        self.work_off()
        mine, others = self.take(ALICE, 2, 0), self.take(BOB, 1, 0)
        if age is Age.LATE:
            self.pass_time(A_LONG_TIME)
            others += self.take(BOB, 2, 0)
        elif age is Age.ACCEPTED:
            self.send(self.jobs[0], ALICE, [Item(task, Form.RESULT) for task in mine])
        elif age is Age.ENDED:
            self._end_in_part(mine, others)
        elif age is Age.CANCELLED:
            self.cancel(0)
        return multiple(*mine, *others)

    def _make_captures(self, without_file: bool) -> None:
        self.captures = self.world.captures(CAPTURES)
        if without_file:
            self.captures[-1].path = ""
            self.captures[-1].save()
            self.without_file = {self.captures[-1].pk}
        self.capture_set = self.world.capture_set(self.captures)

    def _end_in_part(self, mine: list[ReservedTask], others: list[ReservedTask]) -> None:
        """Some images are done, and the others fail for good."""
        self.send(self.jobs[0], ALICE, [Item(task, Form.RESULT) for task in mine])
        while others:
            self.send(self.jobs[0], BOB, [Item(task, Form.LAST_ERROR) for task in others])
            self.pass_time(A_LONG_TIME)
            self.work_off()
            others = self.take(BOB, CAPTURES, 0)
        self.work_off()

    @precondition(lambda self: len(self.jobs) < 2)
    @rule(kind=st.sampled_from(["all", "some", "one"]), shuffle=st.booleans())
    def another_job(self, kind: str, shuffle: bool) -> None:
        """A second job over the same captures, or some or one of them."""
        if kind == "one" and len(self.oracle.deleted) < CAPTURES:
            left = next(capture for capture in self.captures if capture.pk not in self.oracle.deleted)
            self.make_job(source_image_collection=None, source_image_single=left)
        else:
            self.make_job(shuffle=shuffle, limit=3 if kind == "some" else None)

    def make_job(self, **fields: Any) -> None:
        """Make a job, and nothing else."""
        named: dict[str, Any] = {"source_image_collection": self.capture_set} | fields
        step = self.do(lambda: self.world.job(**named), Allowed(jobs=frozenset({Kind.CREATED})))
        assert step.answer is not None
        self.jobs.append(step.answer.pk)

    @precondition(lambda self: self._at_rest())
    @rule(verb=st.sampled_from(sorted(REPEATS)), number=NUMBER, stop=stops(RETRY))
    def a_person_repeats(self, verb: Verb, number: int, stop: Stop | None) -> None:
        """Somebody runs a job that is new or has ended, or has what is undone of it done again."""
        jobs = self._at_rest()
        self.repeat(verb, self.jobs.index(jobs[number % len(jobs)]), stop)

    def _at_rest(self) -> list[int]:
        return [job_id for job_id in self.jobs if self.oracle.view.jobs[job_id].status not in RUNNING]

    @precondition(lambda self: self.jobs)
    @rule(verb=ENDS, number=NUMBER, capture=st.integers(0, CAPTURES - 1), stop=stops(CANCEL))
    def a_person_interferes(self, verb: Verb, number: int, capture: int, stop: Stop | None) -> None:
        """Somebody cancels or deletes a job, deletes a capture, or runs a job that is on its way."""
        if verb is Verb.CANCEL:
            self.cancel(number, stop)
        elif verb is Verb.DELETE_CAPTURE:
            self.delete_capture(capture)
        elif verb is Verb.DELETE and len(self.jobs) > 1:
            self.delete(number, stop)
        elif verb in REPEATS:
            self.repeat(verb, number)

    def repeat(self, verb: Verb, number: int, stop: Stop | None = None) -> None:
        """A job is run, or what is undone of it is opened again, whichever it is time for."""
        job = self.job(number)
        before = self.view
        undone = self._undone(verb, before, job.pk)
        step = self.do(lambda: REPEATS[verb](job), starting(job.pk), stop)
        reopened = {change.key[1] for change in step.changed(Kind.REOPENED)}
        assert reopened in (set(), undone) if step.answer is None else reopened == undone
        if step.whole and before.jobs[job.pk].status in FINAL:
            begins = bool(undone) or verb in (Verb.RUN, Verb.RETRY)
            assert self.oracle.view.jobs[job.pk].run == before.jobs[job.pk].run + begins

    def _undone(self, verb: Verb, view: View, job_id: int) -> set[int]:
        """The images that are opened again."""
        if view.jobs[job_id].status not in FINAL:
            return set()
        failed_only = verb not in (Verb.RUN, Verb.RETRY)
        states = {TaskState.FAILED} if failed_only else {TaskState.FAILED, TaskState.CANCELLED}
        undone = {row.image_id for row in view.of(job_id) if row.status in states}
        return undone & REQUEUED if verb is Verb.REQUEUE else undone

    def cancel(self, number: int, stop: Stop | None = None) -> None:
        """What waits is cancelled, all of it, if the job has not ended."""
        view = self.view
        job = view.jobs[self.job(number).pk]
        waiting = view.tally(job.id)[TaskState.PENDING]
        step = self.do(lambda: cancel_job(job.id), cancelling(job.id), stop)
        assert len(step.changed(Kind.CANCELLED)) == (0 if job.status in FINAL else waiting)

    def delete(self, number: int, stop: Stop | None) -> None:
        """A job goes, with everything but what was found for it."""
        job = self.job(number)
        step = self.do(lambda: delete_job(job), deleting(job.pk), stop)
        assert not step.whole or job.pk not in self.oracle.view.jobs

    def delete_capture(self, number: int) -> None:
        """A capture goes, with everything that was found on it; at most two of them."""
        capture_id = self.captures[number].pk
        if capture_id in self.oracle.deleted or len(self.oracle.deleted) > 1:
            return
        view = self.view
        open_rows = {
            key
            for key, row in view.rows.items()
            if row.image_id == capture_id and row.status in OPEN and view.jobs[key[0]].status in RUNNING
        }

        def go() -> None:
            self.oracle.forget_capture(capture_id)
            SourceImage.objects.get(pk=capture_id).delete()

        step = self.do(go, deleting_capture(capture_id))
        assert {change.key for change in step.changed(Kind.FAILED)} == open_rows

    @precondition(lambda self: self.celery.asked)
    @rule()
    def celery_works(self) -> None:
        """Celery does all that it was asked for."""
        self.work_off()

    def work_off(self) -> None:
        """The same as a call."""
        asked = self.celery.asked
        for _ in range(MOST_PIECES):
            if not asked:
                return
            self._piece(*asked.pop(0))
        raise AssertionError("background work asks for itself for ever")

    @precondition(lambda self: self.celery.asked)
    @rule(count=st.integers(1, 3), data=st.data())
    def celery_is_interrupted(self, count: int, data: st.DataObject) -> None:
        """Celery does what it was asked for first, perhaps not to its end."""
        for _ in range(count):
            if not self.celery.asked:
                return
            verb, key = self.celery.asked.pop(0)
            self._piece(verb, key, data.draw(stops(WORK[verb])))

    @precondition(lambda self: self.jobs)
    @rule(verb=st.sampled_from(["save", "dispatch", "refresh"]), number=st.integers(0, 5), data=st.data())
    def celery_repeats(self, verb: str, number: int, data: st.DataObject) -> None:
        """Celery does something that nobody asked for, or that it has done before."""
        known = self.saves if verb == "save" else self.jobs
        if known:
            self._piece(verb, known[number % len(known)], data.draw(stops(WORK[verb])))

    def _piece(self, verb: str, key: int, stop: Stop | None = None) -> Step[object]:
        if verb == "save" and key not in self.saves:
            self.saves.append(key)
        step = self.do(lambda: DO[verb](key), self._allowance(verb, key), stop)
        if step.whole and verb == "save" and step.answer is True:
            left = [row for row in self.oracle.view.rows.values() if row.accepted_in == key]
            assert not any(row.status == TaskState.RECEIVED for row in left), "done, and not saved"
        if step.whole and verb == "refresh" and key in self.oracle.view.jobs:
            nothing_in(self.oracle.wrong_figures(key))
            nothing_in(self.oracle.wrong_contributions(key))
        return step

    def _allowance(self, verb: str, key: int) -> Allowed:
        if verb == "save":
            return saving()
        if verb == "refresh":
            return REFRESHING
        return dispatching(key, self.without_file)

    @precondition(lambda self: self.just != "checks")
    @rule(stop=stops(CHECKS))
    def checks_run(self, stop: Stop | None) -> None:
        """The health checks run."""
        self.now = "checks"
        self.check_health(stop)

    def check_health(self, stop: Stop | None = None) -> None:
        """The same as a call: all of them, and none meets what it cannot mend, unless a server is away."""
        step = self.do(run_all, checking(), stop)
        if step.whole and step.answer and stop is None and not self.in_trouble and not self.celery.down:
            nothing_in(
                f"the check {name} says {report}"
                for name, report in step.answer.items()
                if report.skipped or report.unfixable
            )

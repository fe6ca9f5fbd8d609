"""What workers do: take tasks; post once, twice, late, in somebody else's name; speak of leases."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

from django.conf import settings
from hypothesis import strategies as st
from hypothesis.stateful import MultipleResults, multiple, precondition, rule

from ami.jobs.lifecycle import lease_calls
from ami.jobs.lifecycle.hand_out import hand_out
from ami.jobs.lifecycle.holders import Worker
from ami.jobs.lifecycle.receive import ItemAnswer, receive
from ami.jobs.lifecycle.reserve import ReservedTask, reserve_tasks
from ami.jobs.lifecycle.turns import Reach
from ami.jobs.models import Job
from ami.jobs.states import TaskState
from ami.jobs.tests.properties.allowances import receiving, reserving, speaking_of
from ami.jobs.tests.properties.answers import (
    FAIR,
    FOUL,
    Form,
    Item,
    expected_answers,
    expected_state,
    in_force,
)
from ami.jobs.tests.properties.changes import Kind
from ami.jobs.tests.properties.life import A_LONG_TIME, TASKS, WORKERS, Life, Step
from ami.jobs.tests.properties.stops import RECEIVE, RESERVE, Stop, stops
from ami.jobs.tests.properties.view import Row
from ami.jobs.tests.world import BASE_URL
from ami.taskqueue import Lease, ReserveRequest

TAKES_OVER = 10
"""More images than a life has."""
SOME = st.lists(TASKS, min_size=1, max_size=4)
ANYBODY = st.sampled_from(WORKERS)
OWNER_MOSTLY = st.sampled_from([None, None, None, *WORKERS])
FORMS = st.lists(st.sampled_from([Form.RESULT, Form.RESULT, *FAIR]), min_size=4, max_size=4)
FOUL_FORMS = st.lists(st.sampled_from(FOUL), min_size=4, max_size=4)
BOXES = st.integers(0, 2)
MARKS = st.integers(0, 3)


def owner_of(task: ReservedTask) -> Worker:
    """Somebody who holds what this task was leased to."""
    return next(worker for worker in WORKERS if worker.holder == task.lease.holder)


class WorkersDo(Life):
    """Rules of workers."""

    @rule(
        target=TASKS, worker=ANYBODY, count=st.integers(1, 4), number=st.integers(0, 1), stop=stops(RESERVE)
    )
    def reserve(self, worker: Worker, count: int, number: int, stop: Stop | None) -> MultipleResults:
        """A worker takes tasks of one job."""
        return multiple(*self.take(worker, count, number, stop))

    @rule(target=TASKS, worker=ANYBODY, count=st.integers(1, 4), stop=stops(RESERVE))
    def take_a_turn(self, worker: Worker, count: int, stop: Stop | None) -> MultipleResults:
        """A worker takes tasks of whatever has some."""
        reach = Reach([self.world.project.pk])
        step = self._reserve(lambda: hand_out(reach, count, worker=worker, base_url=BASE_URL), worker, stop)
        assert len(step.answer or []) <= count
        return multiple(*step.answer or [])

    def take(self, worker: Worker, count: int, number: int, stop: Stop | None = None) -> list[ReservedTask]:
        """The same as a call; nothing if there is no such job."""
        if not self.jobs:
            return []
        job = self.job(number)
        asked = [ReserveRequest(job.pk, job.queue_epoch, count)]
        step = self._reserve(lambda: reserve_tasks(asked, worker=worker, base_url=BASE_URL), worker, stop)
        tasks = step.answer or []
        assert len(tasks) <= count
        assert {task.job_id for task in tasks} <= {job.pk}
        return tasks

    def _reserve(
        self, work: Callable[[], list[ReservedTask]], worker: Worker, stop: Stop | None
    ) -> Step[list[ReservedTask]]:
        """Who is handed a task has its lease in the ledger, and nobody else has."""
        step = self.do(work, reserving(worker, self.oracle.deleted, self.without_file), stop)
        tasks = step.answer or []
        leases = {(task.job_id, task.image_id): task.lease for task in tasks}
        assert len(leases) == len(tasks), "an image was handed out twice in one call"
        assert len(tasks) <= settings.WORKER_MAX_LEASES
        leased = {change.key: change.after for change in step.changed(Kind.LEASED)}
        assert leases.keys() <= leased.keys(), "a task was handed out and not leased"
        for key, lease in leases.items():
            row = leased[key]
            assert row is not None
            assert (row.run, row.attempt, worker.holder) == (lease.run, lease.attempt, lease.holder)
        if step.whole:
            assert leases.keys() == leased.keys(), "a task was leased and not handed out"
        self.held += tasks
        return step

    @precondition(lambda self: self.held)
    @rule(some=SOME, forms=FORMS, boxes=BOXES, mark=MARKS, poster=OWNER_MOSTLY, stop=stops(RECEIVE))
    def post(
        self,
        some: list[ReservedTask],
        forms: list[Form],
        boxes: int,
        mark: int,
        poster: Worker | None,
        stop: Stop | None,
    ) -> None:
        """Somebody posts about tasks, now or late, once or again, to the job of the first of them."""
        items = [Item(task, form, boxes, mark) for task, form in zip(some, forms, strict=False)]
        self.send(some[0].job_id, poster or owner_of(some[0]), items, stop)

    @precondition(lambda self: self.held)
    @rule(some=SOME, forms=FOUL_FORMS, poster=OWNER_MOSTLY, mixed_up=st.booleans())
    def post_foul(
        self, some: list[ReservedTask], forms: list[Form], poster: Worker | None, mixed_up: bool
    ) -> None:
        """Somebody posts results under tokens that nobody signed, or to a job that they are not of."""
        job_id = some[0].job_id
        others = [other for other in self.jobs if other != job_id]
        if mixed_up and others:
            job_id, forms = others[0], [Form.RESULT] * 4
        items = [Item(task, form) for task, form in zip(some, forms, strict=False)]
        self.send(job_id, poster or owner_of(some[0]), items)

    @precondition(lambda self: self.jobs)
    @rule(worker=ANYBODY, number=st.integers(0, 1), count=st.integers(1, 5), boxes=BOXES, saved=st.booleans())
    def work(self, worker: Worker, number: int, count: int, boxes: int, saved: bool) -> None:
        """A worker takes tasks and does them at once; perhaps the results are saved at once, too."""
        self.take(worker, count, number)
        self._post_what_is_held(worker, number, Form.RESULT, boxes)
        if saved:
            self.work_off()

    @precondition(lambda self: self.held and self.jobs)
    @rule(worker=ANYBODY, number=st.integers(0, 1), boxes=BOXES, stop=stops(RECEIVE))
    def answer(self, worker: Worker, number: int, boxes: int, stop: Stop | None) -> None:
        """A worker posts results for all that it holds."""
        self._post_what_is_held(worker, number, Form.RESULT, boxes, stop)

    @precondition(lambda self: self.held and self.jobs)
    @rule(
        worker=ANYBODY,
        number=st.integers(0, 1),
        form=st.sampled_from([Form.ERROR, Form.LAST_ERROR, Form.NONSENSE]),
        stop=stops(RECEIVE),
    )
    def complain(self, worker: Worker, number: int, form: Form, stop: Stop | None) -> None:
        """A worker posts errors for all that it holds."""
        self._post_what_is_held(worker, number, form, 1, stop)

    @precondition(lambda self: self.late())
    @rule(form=st.sampled_from(FAIR), number=st.integers(0, 7), boxes=BOXES)
    def post_late(self, form: Form, number: int, boxes: int) -> None:
        """A worker posts about an image whose lease ran out, and which somebody else may hold now."""
        task = self._pick(self.late(), number)
        self.send(task.job_id, owner_of(task), [Item(task, form, boxes, mark=2)])

    @precondition(lambda self: self.in_hand())
    @rule(form=st.sampled_from([Form.ERROR, Form.LAST_ERROR, Form.NONSENSE]), number=st.integers(0, 7))
    def wake_up_after_somebody_took_over(self, form: Form, number: int) -> None:
        """A worker sleeps until its lease is over, another one takes what it finds, then the first fails."""
        task = self._pick(self.in_hand(), number)
        sleeper = owner_of(task)
        self.pass_time(A_LONG_TIME)
        other = next(worker for worker in WORKERS if worker.holder != sleeper.holder)
        self.take(other, TAKES_OVER, self.jobs.index(task.job_id))
        self.send(task.job_id, sleeper, [Item(task, form)])

    @precondition(lambda self: self.late())
    @rule(give_back=st.booleans(), number=st.integers(0, 7))
    def speak_of_a_lost_lease(self, give_back: bool, number: int) -> None:
        """A worker extends or releases a lease that ran out."""
        self.speak([self._pick(self.late(), number)], give_back)

    def in_hand(self) -> list[ReservedTask]:
        """Tasks of which the leases are in force."""
        rows = self.oracle.view.rows
        return [task for task in self.held if in_force(task.lease, rows.get(_key(task.lease)))]

    def late(self) -> list[ReservedTask]:
        """Tasks that wait for somebody to do them, and of which the leases are not in force any more."""
        rows = self.oracle.view.rows
        waiting = [task for task in self.held if is_waiting(rows.get(_key(task.lease)), task.lease)]
        return [task for task in waiting if not in_force(task.lease, rows.get(_key(task.lease)))]

    def _pick(self, tasks: list[ReservedTask], number: int) -> ReservedTask:
        return tasks[number % len(tasks)]

    def _post_what_is_held(
        self, worker: Worker, number: int, form: Form, boxes: int, stop: Stop | None = None
    ) -> None:
        job_id, rows = self.job(number).pk, self.view.rows
        leases = [task for task in self.held if task.job_id == job_id and task.lease.holder == worker.holder]
        mine = [task for task in leases if in_force(task.lease, rows.get(_key(task.lease)))]
        if mine:
            self.send(job_id, worker, [Item(task, form, boxes, mark=3) for task in mine], stop)

    def send(
        self, job_id: int, worker: Worker, items: Sequence[Item], stop: Stop | None = None
    ) -> Step[list[ItemAnswer]]:
        """Post, and compare the answers with what they must be."""
        job = Job.objects.filter(pk=job_id).first()
        if job is None:
            return Step(receiving(worker, [], []))  # nobody can post to it: there is no such page
        bodies = [item.body(self.world) for item in items]
        expected = expected_answers(self.view, job_id, worker, items)
        step = self.do(lambda: receive(job, bodies, worker=worker), receiving(worker, items, expected), stop)
        if step.answer is not None:
            assert [answer.status for answer in step.answer] == [answer.status for answer in expected]
            promised = Counter(answer.change for answer in expected if answer.change)
            assert Counter(change.kind for change in step.changes) == promised, "answered, and not done"
        return step

    @precondition(lambda self: self.held)
    @rule(some=SOME, give_back=st.booleans())
    def speak_of_leases(self, some: list[ReservedTask], give_back: bool) -> None:
        """A worker extends or releases leases that it has, or believes to have."""
        self.speak(some, give_back)

    def speak(self, some: list[ReservedTask], give_back: bool) -> None:
        """The same as a call."""
        worker = owner_of(some[0])
        leases = [task.lease for task in some if task.lease.holder == worker.holder]
        view = self.view
        held = [lease for lease in leases if in_force(lease, view.rows.get(_key(lease)))]
        call, kind, acted = (
            (lease_calls.release, Kind.RELEASED, "released")
            if give_back
            else (lease_calls.extend, Kind.EXTENDED, "held")
        )
        expected = [expected_state(view, lease, acted) for lease in leases]
        step = self.do(lambda: call(leases, worker), speaking_of(held, kind))
        assert step.answer is not None
        assert [str(answer.state) for answer in step.answer] == expected
        assert {change.key for change in step.changes} == {_key(lease) for lease in held}


def is_waiting(row: Row | None, lease: Lease) -> bool:
    """Whether an image waits to be done in the run of a lease, by whomever."""
    return row is not None and row.status == TaskState.PENDING and row.run == lease.run


def _key(lease: Lease) -> tuple[int, int]:
    return lease.job_id, lease.image_id

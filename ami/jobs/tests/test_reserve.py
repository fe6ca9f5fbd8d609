"""Reserving: what the ledger says decides what happens to a delivered message."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, NoReturn

import pytest
from django.db import InterfaceError, OperationalError
from pytest_django.fixtures import Settings

from ami.base.database import execute
from ami.base.failpoints import arm
from ami.embedded.nats import Nats
from ami.jobs.lifecycle.hand_out import hand_out
from ami.jobs.lifecycle.judging import Verdict, judge
from ami.jobs.lifecycle.reserve import ReservedTask, reserve_tasks
from ami.jobs.lifecycle.turns import Reach
from ami.jobs.models import Attempt, Job, JobTask
from ami.jobs.states import TaskState
from ami.jobs.tests.faults import (
    bring_back,
    lose_messages,
    overtaken,
    publish_copies,
    together,
)
from ami.jobs.tests.ledger_rows import locked_task
from ami.jobs.tests.world import ALICE, BASE_URL, BOB, World, lease_of
from ami.main.models import SourceImage
from ami.taskqueue import (
    Ack,
    Action,
    InProgress,
    Nak,
    QueueUnavailable,
    ReservedMessage,
    ReserveRequest,
    TaskQueueManager,
)
from ami.taskqueue.tests.waiting import stopwatch, wait_for

pytestmark = pytest.mark.integration

URL = "https://images.example/1.jpg"


def images(tasks: list[ReservedTask]) -> list[int]:
    """The images of tasks, in order."""
    return [task.image_id for task in tasks]


@pytest.mark.parametrize(
    ("row", "url", "verdict"),
    [
        ({}, URL, Verdict.HAND_OUT),
        ({"attempt": 2}, URL, Verdict.HAND_OUT),
        ({"attempt": 5, "released": 3}, URL, Verdict.HAND_OUT),
        ({"attempt": 1, "leased": True}, URL, Verdict.HAND_OUT),
        ({"attempt": 3}, URL, Verdict.EXHAUSTED),
        ({"attempt": 5, "released": 2}, URL, Verdict.EXHAUSTED),
        ({}, None, Verdict.CAPTURE_GONE),
        ({}, "", Verdict.NO_FILE),
        ({"attempt": 1, "leased": True, "lease_left": 0.1}, URL, Verdict.WAIT),
        ({"attempt": 3, "leased": True, "lease_left": 0.1}, None, Verdict.WAIT),
        ({"attempt": 1, "wait_left": 0.1}, URL, Verdict.WAIT),
        ({"status": TaskState.RECEIVED}, None, Verdict.BEING_SAVED),
        ({"status": TaskState.PROCESSED}, URL, Verdict.SETTLED),
        ({"status": TaskState.FAILED}, URL, Verdict.SETTLED),
        ({"status": TaskState.CANCELLED}, URL, Verdict.SETTLED),
        ({"run": 2}, URL, Verdict.SETTLED),
        ({"run": 2, "status": TaskState.RECEIVED}, URL, Verdict.SETTLED),
        (None, URL, Verdict.SETTLED),
    ],
)
def test_the_ledger_row_decides(row: dict[str, Any] | None, url: str | None, verdict: Verdict) -> None:
    task = None if row is None else locked_task(**row)
    assert judge(task, message_run=1, url=url, max_attempts=3) is verdict


@dataclass(frozen=True)
class Case:
    """A ledger row as SQL changes it, and what reserve makes of its message."""

    change: str
    action: type[Action] | None
    status: TaskState = TaskState.PENDING
    code: str = ""
    handed_out: bool = False


CASES = {
    "free": Case("attempt = 0", None, handed_out=True),
    "free after a release": Case("attempt = 3, released = 1", None, handed_out=True),
    "free, but used up": Case("attempt = 3", Ack, TaskState.FAILED, "delivery_exhausted"),
    "leased": Case("attempt = 1, leased_until = now() + interval '30 s'", Nak),
    "not yet": Case("attempt = 1, not_before = now() + interval '30 s'", Nak),
    "received": Case("status = 1", InProgress, TaskState.RECEIVED),
    "processed": Case("status = 2", Ack, TaskState.PROCESSED),
    "failed": Case("status = 3", Ack, TaskState.FAILED),
    "cancelled": Case("status = 4", Ack, TaskState.CANCELLED),
    "of another run": Case("run = 2", Ack),
}


@pytest.mark.parametrize("name", CASES)
def test_every_row_of_the_table_in_the_flesh(light_world: World, told: list[Action], name: str) -> None:
    case = CASES[name]
    job = light_world.started_job(1)
    execute(f"UPDATE jobs_jobtask SET {case.change} WHERE job_id = %s", [job.pk])
    tasks = light_world.reserve(job)
    assert bool(tasks) is case.handed_out
    assert [type(action) for action in told] == ([case.action] if case.action else [])
    if case.action is Nak:
        assert isinstance(told[0], Nak)
        assert 29 < told[0].delay <= 30, "it comes again when the rest is over"
    row = JobTask.objects.get(job=job)
    assert (row.status, row.error_code) == (case.status, case.code)
    if case.action is Ack:
        wait_for(lambda: light_world.standing(job) == 0)
    else:
        assert light_world.standing(job) == 1


def test_a_message_of_an_image_that_is_not_in_the_ledger_is_acked(light_world: World) -> None:
    job = light_world.started_job(1)
    JobTask.objects.filter(job=job).delete()
    assert light_world.reserve(job) == []
    wait_for(lambda: light_world.standing(job) == 0)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ("DELETE FROM main_sourceimage", "capture_deleted"),
        ("UPDATE main_sourceimage SET path = ''", "no_url"),
    ],
)
def test_a_capture_without_a_file_fails_when_it_is_to_be_handed_out(
    light_world: World, change: str, code: str
) -> None:
    job = light_world.started_job(2)
    lost = SourceImage.objects.order_by("pk").first()
    assert lost is not None
    lost.capture_sets.clear()
    execute(f"{change} WHERE id = %s", [lost.pk])
    assert lost.pk not in images(light_world.reserve(job))
    row = light_world.row(job, lost.pk)
    assert (row.status, row.error_code, row.attempt) == (TaskState.FAILED, code, 0)
    assert not Attempt.objects.exists(), "nobody tried"
    assert ("refresh", job.pk) in light_world.background.asked


def test_what_is_handed_out_is_leased_to_the_caller(light_world: World) -> None:
    job = light_world.started_job(2)
    tasks = light_world.reserve(job, 1)
    row = light_world.row(job, tasks[0].image_id)
    assert (row.status, row.attempt, row.worker) == (TaskState.PENDING, 1, ALICE.name)
    assert row.leased_until is not None
    lease = lease_of(tasks[0])
    assert (lease.job_id, lease.run, lease.image_id, lease.attempt, lease.holder) == (
        job.pk,
        1,
        tasks[0].image_id,
        1,
        ALICE.holder,
    )
    assert tasks[0].image_url.startswith("https://images.example/")


def test_a_local_capture_is_fetchable_without_the_api_token(light_world: World) -> None:
    captures = light_world.captures(1, public_base_url="")
    job = light_world.started_job(source_image_collection=light_world.capture_set(captures))
    assert light_world.reserve(job)[0].image_url.startswith(
        f"{BASE_URL}/api/v2/captures/{captures[0].pk}/file/?"
    )


def test_surplus_copies_are_judged_once_and_made_up_for(light_world: World, told: list[Action]) -> None:
    job = light_world.started_job(3)
    lose_messages(job)
    first, second, third = JobTask.objects.filter(job=job).values_list("image_id", flat=True)
    for tag, image in ((10, first), (11, first), (12, first), (13, second), (14, third)):
        publish_copies(job, [image], tag=tag)
    tasks = light_world.reserve(job, 3)
    assert images(tasks) == [first, second, third]
    assert [task.attempt for task in tasks] == [1, 1, 1]
    assert [type(action) for action in told] == [Nak, Nak]


def only_once(act: Callable[[], object], *, at: int) -> Callable[[], None]:
    """Does `act` the time that it is called for the `at`th time."""
    calls = itertools.count(1)

    def maybe() -> None:
        if next(calls) == at:
            act()

    return maybe


def queue_away() -> NoReturn:
    """NATS dies."""
    raise QueueUnavailable


def database_away() -> NoReturn:
    """Postgres dies."""
    raise OperationalError("the server closed the connection")


@pytest.mark.parametrize("away", [queue_away, database_away])
def test_what_is_leased_is_handed_out_though_the_fetch_that_makes_up_for_copies_fails(
    light_world: World, monkeypatch: pytest.MonkeyPatch, away: Callable[[], None]
) -> None:
    job = light_world.started_job(2)
    lose_messages(job)
    first, second = images_of(job)
    for tag, image in ((10, first), (11, first), (12, second)):
        publish_copies(job, [image], tag=tag)
    reserve = TaskQueueManager.reserve
    at_second = only_once(away, at=2)

    def maybe_reserve(queue: TaskQueueManager, *arguments: Any) -> list[ReservedMessage]:
        if away is queue_away:
            at_second()
        return reserve(queue, *arguments)

    monkeypatch.setattr(TaskQueueManager, "reserve", maybe_reserve)
    with arm("reserve.before_commit", at_second if away is database_away else lambda: None):
        assert images(light_world.reserve(job, 2)) == [first]
    assert images(light_world.obtain(job, 1)) == [second]


def test_what_one_round_leased_is_handed_out_though_the_next_one_fails(light_world: World) -> None:
    small, large = light_world.started_job(1), light_world.started_job(6)
    reach = Reach([light_world.project.pk])
    with arm("reserve.before_commit", only_once(database_away, at=2)):
        tasks = hand_out(reach, 4, worker=ALICE, base_url=BASE_URL)
    assert sorted(task.job_id for task in tasks) == [small.pk, large.pk, large.pk]
    with arm("reserve.before_commit", database_away), pytest.raises(OperationalError):
        hand_out(reach, 4, worker=ALICE, base_url=BASE_URL)


def test_a_capture_with_an_impossible_address_fails_alone(light_world: World) -> None:
    captures = [*light_world.captures(3), *light_world.captures(1, public_base_url="http://[bad")]
    job = light_world.started_job(source_image_collection=light_world.capture_set(captures))
    assert len(light_world.reserve(job)) == 3
    row = light_world.row(job, captures[-1].pk)
    assert (row.status, row.error_code) == (TaskState.FAILED, "no_url")


def test_copies_never_hand_out_an_image_twice_and_go_when_it_is_settled(
    light_world: World, settings: Settings
) -> None:
    settings.NATS_TASK_TTR = 0.5
    job = light_world.started_job(3)
    publish_copies(job, images_of(job))
    tasks = light_world.reserve(job)
    assert len(tasks) == len(set(images(tasks))) == 3
    assert light_world.reserve(job, worker=BOB) == []
    light_world.post(job, [light_world.success(task) for task in tasks[:2]])
    light_world.background.run("save")
    light_world.post(job, [light_world.success(tasks[2])])  # accepted, and not saved yet

    def gone() -> bool:
        assert light_world.reserve(job, worker=BOB) == []
        return light_world.standing(job) == 2

    wait_for(gone)
    light_world.background.run()
    light_world.assert_ended_exactly(job, 3)


def images_of(job: Job) -> list[int]:
    """The images of a job's ledger."""
    return list(JobTask.objects.filter(job=job).order_by("position").values_list("image_id", flat=True))


@pytest.mark.parametrize("error", [OperationalError, InterfaceError, ValueError, SystemExit])
def test_if_the_commit_fails_everything_is_given_back_at_once(
    light_world: World, told: list[Action], error: type[BaseException]
) -> None:
    job = light_world.started_job(3)

    def fail() -> None:
        raise error("the server closed the connection")

    with arm("reserve.before_commit", fail), pytest.raises(error):
        light_world.reserve(job)
    assert [type(action) for action in told] == [Nak] * 3
    assert set(JobTask.objects.values_list("attempt", "leased_until")) == {(0, None)}
    assert len(light_world.obtain(job, 3)) == 3


def test_two_workers_at_once_get_different_images(world: World) -> None:
    job = world.started_job(20)
    publish_copies(job, images_of(job))
    alice, bob = together(
        partial(world.reserve, job, 15, ALICE),
        partial(world.reserve, Job.objects.get(pk=job.pk), 15, BOB),
    )
    assert not set(images(alice)) & set(images(bob))
    assert set(JobTask.objects.filter(job=job).values_list("attempt", flat=True)) <= {0, 1}


def test_who_waited_for_the_row_sees_the_lease_of_the_other(world: World) -> None:
    job = world.started_job(2)
    lose_messages(job)
    publish_copies(job, images_of(job), tag=1)
    request = [ReserveRequest(job.pk, job.queue_epoch, 2)]
    late: list[ReservedTask] = []

    def overtake() -> None:
        publish_copies(Job.objects.get(pk=job.pk), images_of(job), tag=2)
        late.extend(reserve_tasks(request, worker=BOB, base_url=BASE_URL))

    early = overtaken(
        "reserve.before_commit", partial(reserve_tasks, request, worker=ALICE, base_url=BASE_URL), overtake
    )
    assert (len(early), late) == (2, [])


def test_who_waited_for_a_leased_row_gives_its_message_back(world: World, told: list[Action]) -> None:
    job = world.started_job(2)
    job.refresh_from_db()
    request = [ReserveRequest(job.pk, job.queue_epoch, 2)]

    def overtake() -> None:
        publish_copies(Job.objects.get(pk=job.pk), images_of(job), tag=2)
        reserve_tasks(request, worker=BOB, base_url=BASE_URL)

    reserve = partial(reserve_tasks, request, worker=ALICE, base_url=BASE_URL)
    overtaken("reserve.before_commit", reserve, overtake)
    assert {type(action) for action in told} == {Nak}, "a row that is locked is no row that is missing"


def test_an_expired_lease_is_handed_out_again_and_its_silence_is_noted(light_world: World) -> None:
    job = light_world.started_job(1)
    tasks = light_world.reserve(job)
    light_world.expire(job, tasks)
    again = light_world.obtain(job, 1, BOB)
    assert [(task.image_id, task.attempt) for task in again] == [(tasks[0].image_id, 2)]
    silent = Attempt.objects.get()
    assert (silent.run, silent.attempt, silent.worker) == (1, 1, ALICE.name)
    assert silent.error_code == "delivery_exhausted"
    assert "No answer within" in silent.error_text
    assert JobTask.objects.get().worker == BOB.name


def test_an_image_that_every_worker_died_on_fails_with_all_its_attempts(light_world: World) -> None:
    job = light_world.started_job(1)
    for worker in (ALICE, BOB, ALICE):
        light_world.expire(job, light_world.obtain(job, 1, worker))
    wait_for(lambda: not light_world.reserve(job) and JobTask.objects.get().status == TaskState.FAILED)
    row = JobTask.objects.get()
    assert (row.error_code, row.attempt) == ("delivery_exhausted", 3)
    assert ALICE.name in row.error_text
    noted = Attempt.objects.order_by("attempt").values_list("attempt", "worker")
    assert list(noted) == [(1, ALICE.name), (2, BOB.name), (3, ALICE.name)]
    light_world.background.run()
    job.refresh_from_db()
    assert job.status == "FAILURE"


def test_a_missing_queue_has_nothing_to_hand_out(light_world: World) -> None:
    job = light_world.job(1)
    assert light_world.reserve(job) == []
    job = light_world.started_job(1)
    for request in (ReserveRequest(job.pk, job.queue_epoch + 1, 5), ReserveRequest(987_654, 1, 5)):
        assert reserve_tasks([request], worker=ALICE, base_url=BASE_URL) == []


def test_one_call_serves_several_jobs(light_world: World) -> None:
    jobs = [light_world.started_job(2), light_world.started_job(2)]
    requests = [ReserveRequest(job.pk, job.queue_epoch, 5) for job in jobs]
    tasks = reserve_tasks(requests, worker=ALICE, base_url=BASE_URL)
    assert sorted(task.job_id for task in tasks) == sorted([jobs[0].pk, jobs[1].pk] * 2)


def test_a_frozen_queue_costs_a_moment_then_nothing_and_then_heals(
    light_world: World, lonely_nats: Nats
) -> None:
    job = light_world.started_job(2)
    lonely_nats.pause()

    def refused() -> None:
        with pytest.raises(QueueUnavailable):
            light_world.reserve(job)

    assert stopwatch(refused) < 1.5
    assert stopwatch(refused) < 0.05
    assert set(JobTask.objects.values_list("attempt", flat=True)) == {0}
    bring_back(lonely_nats)
    assert len(light_world.obtain(job, 2)) == 2
    assert TaskQueueManager().message_count(job.pk) == 2

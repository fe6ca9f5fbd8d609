"""What a worker may not post: results under somebody else's lease, and results that cannot be kept."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from pytest_django.fixtures import Settings

from ami.jobs.lifecycle.receive import ItemAnswer
from ami.jobs.models import Attempt, InboxEntry, JobTask
from ami.jobs.states import TaskState
from ami.jobs.tests.world import ALICE, BOB, World, lease_of
from ami.ml.models import Algorithm
from ami.taskqueue import Action, LeaseSigner

pytestmark = pytest.mark.integration

Body = dict[str, Any]
Spoil = Callable[[Body, str], Any]
"""Makes a bad result from a good one and the id of another image."""


def only(answers: list[ItemAnswer]) -> ItemAnswer:
    """The answer to a post of one item."""
    assert len(answers) == 1
    return answers[0]


def tampered(token: str, position: int) -> str:
    """The token with one character changed."""
    letter = "A" if token[position] != "A" else "B"
    return token[:position] + letter + token[position + 1 :]


def test_a_token_that_was_not_handed_out_for_this_is_refused_and_changes_nothing(
    light_world: World, told: list[Action]
) -> None:
    job, other_job = light_world.started_job(2), light_world.started_job(1)
    task = light_world.reserve(job, 1)[0]
    foreign = light_world.reserve(other_job, 1)[0]
    forged = LeaseSigner(["a stolen laptop's guess"]).sign(lease_of(task))
    before = light_world.ledger_bytes(job) + light_world.ledger_bytes(other_job)
    subjects: list[Any] = [
        forged,
        foreign.token,
        *(tampered(task.token, position) for position in (0, 20, len(task.token) - 1)),
        task.token + "A",
        task.token[:-4],
        f"$JS.ACK.job_{job.pk}.job-{job.pk}-consumer-1.1.1.1.1.1",
        "job.1.tasks",
        "_INBOX.x\r\nPUB job.1.tasks",
        "",
        "x" * 100_000,
        None,
        7,
        ["a"],
    ]
    for result in (light_world.result_body(task.image_id, 1), {"error": "boom", "retryable": False}):
        for subject in subjects:
            answer = only(light_world.post(job, [{"reply_subject": subject, "result": result}]))
            assert (answer.status, answer.task_id) == ("rejected", "")
            assert isinstance(answer.reply_subject, str)
            assert len(answer.reply_subject) <= 1_000
            assert answer.reason
    assert light_world.ledger_bytes(job) + light_world.ledger_bytes(other_job) == before
    assert (InboxEntry.objects.count(), Attempt.objects.count()) == (0, 0)
    assert told == [], "nothing is ever sent to the queue for them"


def test_a_lease_of_somebody_else_is_refused(light_world: World, told: list[Action]) -> None:
    job = light_world.started_job(1)
    task = light_world.reserve(job, worker=ALICE)[0]
    assert only(light_world.post(job, [light_world.success(task)], BOB)).status == "rejected"
    assert (light_world.tally(job), told) == ({"pending": 1}, [])
    assert only(light_world.post(job, [light_world.success(task)], ALICE)).status == "queued"


@pytest.mark.parametrize("item", [None, 3, "text", [], {}, {"result": {}}])
def test_an_item_that_is_no_item_is_refused_alone(light_world: World, item: Any) -> None:
    job = light_world.started_job(1)
    task = light_world.reserve(job)[0]
    answers = light_world.post(job, [item, light_world.success(task)])
    assert [answer.status for answer in answers] == ["rejected", "queued"]
    assert answers[0].reply_subject == ""


def test_tokens_signed_with_the_previous_key_are_still_good(light_world: World, settings: Settings) -> None:
    settings.LEASE_KEYS = ["old"]
    job = light_world.started_job(1)
    task = light_world.reserve(job)[0]
    settings.LEASE_KEYS = ["new", "old"]
    assert only(light_world.post(job, [light_world.success(task)])).status == "queued"
    settings.LEASE_KEYS = ["new"]
    assert only(light_world.post(job, [light_world.success(task)])).status == "rejected"


def changed(**changes: Any) -> Spoil:
    """The result with other values at the top."""
    return lambda body, other: body | changes


def detection(**changes: Any) -> Spoil:
    """The result with one detection that has other values."""
    return lambda body, other: body | {"detections": [body["detections"][0] | changes]}


def naming(**changes: Any) -> Spoil:
    """The result with one classification that has other values."""
    return lambda body, other: detection(
        classifications=[body["detections"][0]["classifications"][0] | changes]
    )(body, other)


def box(x1: float, x2: float) -> Spoil:
    """The result with one detection at another place."""
    return detection(bbox={"x1": x1, "y1": 0, "x2": x2, "y2": 1})


STRANGER = {"name": "X", "key": "nobody"}
BAD: dict[str, tuple[Spoil, str]] = {
    "unknown algorithm": (detection(algorithm=STRANGER), "not registered"),
    "unknown classifier": (naming(algorithm=STRANGER), "not registered"),
    "another pipeline": (changed(pipeline="another"), "the job runs"),
    "another image": (
        lambda body, other: body | {"source_images": [{"id": other, "url": ""}]},
        "another image",
    ),
    "detection of another image": (
        lambda body, other: detection(source_image_id=other)(body, other),
        "another",
    ),
    "NaN score": (naming(scores=[float("nan")]), "finite"),
    "infinite box": (box(0, float("inf")), "finite"),
    "huge box": (box(0, 1e308), "less than"),
    "box inside out": (box(5, 1), "before it begins"),
    "no scores": (naming(scores=[]), "no scores"),
    "no label": (naming(classification=" "), "no label"),
    "NUL in a label": (naming(classification="a\x00b"), "pattern"),
    "scores are text": (naming(scores=["much"]), "number"),
    "detections missing": (lambda body, other: {**body, "detections": None}, "list"),
    "a list": (lambda body, other: [body], "dictionary"),
    "nothing": (lambda body, other: None, "dictionary"),
    "error about another image": (lambda body, other: {"error": "boom", "image_id": other}, "about image"),
    "error without text": (lambda body, other: {"error": None}, "string"),
    "error that is no text": (lambda body, other: {"error": {"a": 1}}, "string"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_result_that_cannot_be_kept_is_a_failed_attempt_at_its_image_alone(
    light_world: World, name: str
) -> None:
    spoil, word = BAD[name]
    job = light_world.started_job(3)
    task, neighbour, other = light_world.reserve(job)
    bad = spoil(light_world.result_body(task.image_id, 1), str(other.image_id))
    answers = light_world.post(
        job, [{"reply_subject": task.token, "result": bad}, light_world.success(neighbour)]
    )
    assert [answer.status for answer in answers] == ["retry", "queued"]
    assert word in answers[0].reason
    noted = Attempt.objects.get()
    assert (noted.image_id, noted.error_code) == (task.image_id, "rejected_result")
    assert word in noted.error_text
    assert light_world.inbox_images() == [[neighbour.image_id]]
    assert light_world.row(job, other.image_id).attempt == 1, "the other image is left alone"


def test_too_many_detections_are_refused(light_world: World, settings: Settings) -> None:
    settings.RESULT_MAX_DETECTIONS = 3
    job = light_world.started_job(2)
    few, many = light_world.reserve(job)
    answers = light_world.post(job, [light_world.success(few, 3), light_world.success(many, 4)])
    assert [answer.status for answer in answers] == ["queued", "retry"]


def test_bad_results_use_up_the_attempts(light_world: World, settings: Settings) -> None:
    settings.RETRY_BACKOFF_SECONDS = 0
    job = light_world.started_job(1)
    answers = []
    for _ in range(3):
        task = light_world.obtain(job, 1)[0]
        answers.append(only(light_world.post(job, [{"reply_subject": task.token, "result": {}}])).status)
    assert answers == ["retry", "retry", "failed"]
    row = JobTask.objects.get()
    assert (row.status, row.error_code) == (TaskState.FAILED, "rejected_result")


def test_an_algorithm_registered_a_moment_ago_is_known(light_world: World) -> None:
    job = light_world.started_job(2)
    one, two = light_world.reserve(job)
    light_world.post(job, [light_world.success(one)])
    newcomer = Algorithm.objects.create(name="New", key="new", task_type="localization")
    light_world.pipeline.algorithms.add(newcomer)
    result = detection(algorithm={"name": "New", "key": "new"})(light_world.result_body(two.image_id, 1), "")
    assert only(light_world.post(job, [{"reply_subject": two.token, "result": result}])).status == "queued"


@pytest.mark.parametrize("distinct", [False, True])
def test_unknown_algorithms_are_looked_up_once_for_a_whole_post(light_world: World, distinct: bool) -> None:
    job = light_world.started_job(20)
    tasks = light_world.reserve(job)
    light_world.post(job, [])

    def queries(count: int) -> int:
        items = [
            {
                "reply_subject": task.token,
                "result": detection(algorithm={"name": "X", "key": f"stranger-{number * distinct}"})(
                    light_world.result_body(task.image_id, 1), ""
                ),
            }
            for number, task in enumerate(tasks[:count])
        ]
        with CaptureQueriesContext(connection) as counted:
            light_world.post(job, items)
        return len(counted)

    assert queries(15) <= queries(2) + 5
